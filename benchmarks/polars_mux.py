"""What muxd writes to ``latency.jsonl``, as lazy queries of Polars.

    python polars_mux.py RAW_DIR OUT_DIR --pair ingress encoded

It knows what the benchmark's recording needs and no more; ``LEFT_OUT`` of benchmarks/whole.py says what that is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

WINDOW_NS = 2_000_000_000
MAX_GAP_NS = 2_500_000_000
IDENTITY = ["frame", "a_ns", "b_ns"]

col, lit = pl.col, pl.lit


def lines(path: Path, **kv: type[pl.DataType]) -> pl.LazyFrame:
    """Return the lines of a raw file, its ``kv`` as columns."""
    kinds = {"ts_ns": pl.Int64(), "source": pl.String(), "seq": pl.Int64(), "kv": pl.Struct(kv)}
    return pl.scan_ndjson(path, schema=pl.Schema(kinds)).unnest("kv")


def stages(pipeline: pl.LazyFrame) -> pl.LazyFrame:
    """Return the stage events; ``again`` marks those that the same stage and frame had within the window."""
    keys = ("stage", "frame")
    events = pipeline.filter(col("source") == "pipeline").sort(*keys, "ts_ns", "seq")
    is_same = pl.all_horizontal(col(key) == col(key).shift() for key in keys)  # shift().over(keys) takes far longer
    return events.with_columns(again=(is_same & (col("ts_ns").diff() <= WINDOW_NS)).fill_null(False))


def matched(events: pl.LazyFrame, pair: tuple[str, str]) -> pl.LazyFrame:
    """Return every first event with its partner within the window, or alone."""
    firsts = events.filter(~col("again"))
    a = firsts.filter(col("stage") == pair[0]).select("frame", a_ns="ts_ns")
    b = firsts.filter(col("stage") == pair[1]).select("frame", b_ns="ts_ns")
    latency_ns = col("b_ns") - col("a_ns")
    pairs = a.join(b, on="frame").filter(latency_ns.is_between(0, WINDOW_NS)).select(IDENTITY)
    alone_a = a.join(pairs, on=["frame", "a_ns"], how="anti").with_columns(b_ns=lit(None, pl.Int64))
    alone_b = b.join(pairs, on=["frame", "b_ns"], how="anti").with_columns(a_ns=lit(None, pl.Int64))
    return pl.concat([pairs, alone_a.select(IDENTITY), alone_b.select(IDENTITY)])


def samples(events: pl.LazyFrame, source: str, key: str) -> pl.LazyFrame:
    """Return a meter's samples, each with what leads to the next: its slopes, its joules, and its stretch."""
    before, after = col("ts_ns").shift(), col("ts_ns").shift(-1)
    ours = (
        events.filter(col("source") == source).sort("ts_ns", "seq").unique("ts_ns", keep="first", maintain_order=True)
    )
    next_j = ((col(key).shift(-1) + col(key)) / 2 * (after - col("ts_ns")) * 1e-9).fill_null(0)
    return ours.select(
        "ts_ns",
        "temp_c",
        power_w=key,
        next_ns=after,
        slope_w=((col(key).shift(-1) - col(key)) / (after - col("ts_ns"))).fill_null(0),
        slope_c=((col("temp_c").shift(-1) - col("temp_c")) / (after - col("ts_ns"))).fill_null(0),
        total_j=next_j.cum_sum() - next_j,
        run=(col("ts_ns") - before > MAX_GAP_NS).fill_null(False).cum_sum().cast(pl.Int64),
    ).with_columns(next_run=col("run").shift(-1))


def joules_at(t: str, suffix: str) -> pl.Expr:
    """Return the joules that the meter had counted at a time since its first sample."""
    past_ns = col(t) - col(f"ts_ns{suffix}")
    mean_w = col(f"power_w{suffix}") + col(f"slope_w{suffix}") * past_ns / 2
    return col(f"total_j{suffix}") + mean_w * past_ns * 1e-9


def why_not(end_ns: pl.Expr) -> pl.Expr:
    """Return why a meter does not cover a pair; null where it does."""
    lost_before = (col("run_a") < col("last_run")) | (col("last_ns") + MAX_GAP_NS < end_ns)
    why = (
        pl.when(col("first_ns").is_null() | (col("first_ns") > col("b_ns") + MAX_GAP_NS))
        .then(lit("no_source"))
        .when(col("run_a").is_null())
        .then(lit("before_first"))
        .when(col("reached_run").is_null())
        .then(pl.when(lost_before).then(lit("gap")).otherwise(lit("after_last")))
        .when(col("run_a") < col("reached_run"))
        .then(lit("gap"))
    )
    return pl.when(why.is_null() | (col("power_why") == "no_source")).then(why).otherwise(col("power_why"))


def annotated(pairs: pl.LazyFrame, meter: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """Fill in the power and energy of the pairs that a meter covers, and why it covers the others not."""
    extent = meter.select(first_ns=col("ts_ns").min(), last_ns=col("ts_ns").max(), last_run=col("run").max())
    found = pairs
    for at in ("a", "middle", "b"):
        theirs = meter.select(pl.all().name.suffix(f"_{at}"))
        found = found.sort(f"{at}_ns").join_asof(theirs, left_on=f"{at}_ns", right_on=f"ts_ns_{at}", coalesce=False)
    reached_run = pl.when(col("ts_ns_b") == col("b_ns")).then(col("run_b")).otherwise(col("next_run_b"))
    past_ns = (col("a_ns") + col("b_ns") - 2 * col("ts_ns_middle")) / 2
    left_ns = col("next_ns_middle") - col("ts_ns_middle") - past_ns
    values = {
        "power_w": col("power_w_middle") + col("slope_w_middle") * past_ns,
        "energy_j": joules_at("b_ns", "_b") - joules_at("a_ns", "_a"),
        "power_age_ms": pl.when(past_ns == 0).then(lit(0.0)).otherwise(pl.min_horizontal(past_ns, left_ns)) / 1e6,
        "power_source": lit(name),
        "temp_c": col("temp_c_middle") + col("slope_c_middle") * past_ns,
    }
    covered = pl.when(col("power_why").is_null())
    return (
        found.join(extent, how="cross")
        .with_columns(reached_run=reached_run)
        .with_columns(power_why=why_not(col("end_ns")))
        .with_columns(**{key: covered.then(value) for key, value in values.items()})
        .select(*IDENTITY, "middle_ns", "end_ns", "power_why", *values)
    )


def pair_rows(pairs: pl.LazyFrame, pair: tuple[str, str]) -> pl.LazyFrame:
    kv = pl.struct(
        lat_ms=(col("b_ns") - col("a_ns")) / 1e6,
        pair=pl.concat_list(lit(pair[0]), lit(pair[1])),
        stage=lit(None, pl.String),
        frame="frame",
        match=lit("frame"),
        reason=lit(None, pl.String),
        decided_ns=lit(None, pl.Int64),
        power_w="power_w",
        energy_j="energy_j",
        power_age_ms="power_age_ms",
        power_source="power_source",
        temp_c="temp_c",
        power_why="power_why",
    )
    return pairs.select(ts_aligned_ns="b_ns", source=lit("metric.latency"), kv=kv, decided_ns="b_ns")


def dropped(alone: pl.LazyFrame, again: pl.LazyFrame, pair: tuple[str, str]) -> pl.LazyFrame:
    """Return the stage events that made no pair, each with the reason."""
    is_orphan, is_lost = col("a_ns").is_null(), col("a_ns") + WINDOW_NS < col("end_ns")
    ones = alone.select(
        "frame",
        ts_ns=pl.coalesce("a_ns", "b_ns"),
        stage=pl.when(is_orphan).then(lit(pair[1])).otherwise(lit(pair[0])),
        reason=pl.when(is_orphan).then(lit("orphan")).when(is_lost).then(lit("lost")).otherwise(lit("open_at_end")),
        decided_ns=pl.when(is_orphan)
        .then(col("b_ns"))
        .otherwise(pl.min_horizontal(col("a_ns") + WINDOW_NS, col("end_ns"))),
    )
    repeats = again.filter(col("stage").is_in(pair)).select(
        "frame", "ts_ns", "stage", reason=lit("duplicate"), decided_ns="ts_ns"
    )
    return pl.concat([ones, repeats])


def drop_rows(drops: pl.LazyFrame, pair: tuple[str, str]) -> pl.LazyFrame:
    kv = pl.struct(
        lat_ms=lit(None, pl.Float64),
        pair=pl.concat_list(lit(pair[0]), lit(pair[1])),
        stage="stage",
        frame="frame",
        match=lit(None, pl.String),
        reason="reason",
        decided_ns="decided_ns",
        power_w=lit(None, pl.Float64),
        energy_j=lit(None, pl.Float64),
        power_age_ms=lit(None, pl.Float64),
        power_source=lit(None, pl.String),
        temp_c=lit(None, pl.Float64),
        power_why=lit(None, pl.String),
    )
    return drops.select(ts_aligned_ns="ts_ns", source=lit("metric.dropped"), kv=kv, decided_ns="decided_ns")


def query(raw: Path, pair: tuple[str, str]) -> pl.LazyFrame:
    """Return the rows of latency.jsonl in the order of decision.

    What is used more than once is collected first: as a single query this took twenty times as long.
    """
    pipeline = lines(raw / "pipeline.jsonl", stage=pl.String, frame=pl.Int64).collect().lazy()
    board = lines(raw / "benchlab.jsonl", p_sys=pl.Float64, temp_c=pl.Float64).collect().lazy()
    gpu = lines(raw / "telemetry.jsonl", power_w=pl.Float64, temp_c=pl.Float64).collect().lazy()
    end = pl.concat([stream.select("ts_ns") for stream in (pipeline, board, gpu)]).select(end_ns=col("ts_ns").max())
    events = stages(pipeline).collect().lazy()
    frames = matched(events, pair).join(end, how="cross").collect().lazy()
    is_pair = col("a_ns").is_not_null() & col("b_ns").is_not_null()
    pairs = frames.filter(is_pair).with_columns(middle_ns=(col("a_ns") + col("b_ns")) // 2, power_why=lit("no_source"))
    by_board = annotated(pairs, samples(board, "benchlab.usb", "p_sys"), "benchlab.usb:p_sys").collect().lazy()
    rest = by_board.filter(col("power_why").is_not_null()).select(*IDENTITY, "middle_ns", "end_ns", "power_why")
    by_gpu = annotated(rest, samples(gpu, "gpu.nvml", "power_w"), "gpu.nvml:power_w")
    rows = [
        pair_rows(by_board.filter(col("power_why").is_null()), pair),
        pair_rows(by_gpu, pair),
        drop_rows(dropped(frames.filter(~is_pair), events.filter(col("again")), pair), pair),
    ]
    return pl.concat(rows).sort("decided_ns").drop("decided_ns")


def main() -> int:
    parser = argparse.ArgumentParser(description="Pair stages and annotate power in Polars.")
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pair", nargs=2, required=True, metavar=("A", "B"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    query(args.raw, (args.pair[0], args.pair[1])).sink_ndjson(args.out / "latency.jsonl")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
