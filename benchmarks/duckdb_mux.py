"""What muxd writes to ``latency.jsonl``, as one statement of SQL for DuckDB.

    python duckdb_mux.py RAW_DIR OUT_DIR --pair ingress encoded

It knows what the benchmark's recording needs and no more; ``LEFT_OUT`` of benchmarks/whole.py says what that is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

WINDOW_NS = 2_000_000_000
MAX_GAP_NS = 2_500_000_000

STATEMENT = """
COPY (
WITH
pipeline AS MATERIALIZED ({pipeline}),
board AS MATERIALIZED ({board}),
gpu AS MATERIALIZED ({gpu}),
ends AS (
    SELECT max(ts_ns) AS end_ns
    FROM (SELECT ts_ns FROM pipeline UNION ALL SELECT ts_ns FROM board UNION ALL SELECT ts_ns FROM gpu)
),
events AS (
    SELECT ts_ns, seq, kv.stage AS stage, kv.frame AS frame
    FROM pipeline WHERE source = 'pipeline' AND kv.stage IN ('{a}', '{b}')
),
repeated AS MATERIALIZED (SELECT stage, frame FROM events GROUP BY ALL HAVING count(*) > 1),
stages AS MATERIALIZED (
    SELECT *, false AS again FROM events ANTI JOIN repeated USING (stage, frame)
    UNION ALL
    SELECT *,
        coalesce(ts_ns - lag(ts_ns) OVER (PARTITION BY stage, frame ORDER BY ts_ns, seq) <= {window_ns}, false)
    FROM events SEMI JOIN repeated USING (stage, frame)
),
matched AS MATERIALIZED (
    SELECT a.ts_ns AS a_ns, b.ts_ns AS b_ns, coalesce(a.frame, b.frame) AS frame
    FROM (FROM stages WHERE stage = '{a}' AND NOT again) a
    FULL JOIN (FROM stages WHERE stage = '{b}' AND NOT again) b
        ON a.frame = b.frame AND a.ts_ns <= b.ts_ns AND b.ts_ns <= a.ts_ns + {window_ns}
),
pairs AS (
    SELECT a_ns, b_ns, frame, (a_ns + b_ns) // 2 AS middle_ns, 'no_source' AS earlier_why
    FROM matched WHERE a_ns IS NOT NULL AND b_ns IS NOT NULL
),
board_samples AS MATERIALIZED ({board_samples}),
by_board AS MATERIALIZED ({by_board}),
rest AS (
    SELECT a_ns, b_ns, frame, middle_ns, power_why AS earlier_why FROM by_board WHERE power_why IS NOT NULL
),
gpu_samples AS MATERIALIZED ({gpu_samples}),
by_gpu AS ({by_gpu}),
dropped AS (
    SELECT coalesce(a_ns, b_ns) AS ts_ns, if(a_ns IS NULL, '{b}', '{a}') AS stage, frame,
        CASE WHEN a_ns IS NULL THEN 'orphan' WHEN a_ns + {window_ns} < end_ns THEN 'lost' ELSE 'open_at_end' END
            AS reason,
        CASE reason WHEN 'orphan' THEN b_ns WHEN 'lost' THEN a_ns + {window_ns} ELSE end_ns END AS decided_ns
    FROM matched, ends WHERE a_ns IS NULL OR b_ns IS NULL
    UNION ALL
    SELECT ts_ns, stage, frame, 'duplicate', ts_ns FROM stages WHERE again
)
SELECT ts_aligned_ns, source, kv FROM (
    SELECT b_ns AS ts_aligned_ns, 'metric.latency' AS source, b_ns AS decided_ns, {{
        lat_ms: (b_ns - a_ns) / 1e6, pair: ['{a}', '{b}'], stage: NULL::VARCHAR, frame: frame, match: 'frame',
        reason: NULL::VARCHAR, decided_ns: NULL::BIGINT, power_w: power_w, energy_j: energy_j,
        power_age_ms: power_age_ms, power_source: power_source, temp_c: temp_c, power_why: power_why
    }} AS kv
    FROM (FROM by_board WHERE power_why IS NULL UNION ALL FROM by_gpu)
    UNION ALL
    SELECT ts_ns, 'metric.dropped', decided_ns, {{
        lat_ms: NULL, pair: ['{a}', '{b}'], stage: stage, frame: frame, match: NULL, reason: reason,
        decided_ns: decided_ns, power_w: NULL, energy_j: NULL, power_age_ms: NULL, power_source: NULL, temp_c: NULL,
        power_why: NULL
    }}
    FROM dropped
) ORDER BY decided_ns
) TO '{out}' (FORMAT json)
"""

LINES = """
    SELECT * FROM read_json('{path}', format = 'newline_delimited',
        columns = {{ts_ns: 'BIGINT', source: 'VARCHAR', seq: 'BIGINT', kv: 'STRUCT({kv})'}})
"""

SAMPLES = """
    SELECT *,
        sum(next_j) OVER (ORDER BY ts_ns ROWS UNBOUNDED PRECEDING) - next_j AS total_j,
        sum(is_new_run) OVER (ORDER BY ts_ns ROWS UNBOUNDED PRECEDING) AS run,
        CASE WHEN next_ns - ts_ns > {max_gap_ns} THEN run + 1 WHEN next_ns IS NOT NULL THEN run END AS next_run
    FROM (
        SELECT ts_ns, power_w, temp_c,
            lead(ts_ns) OVER times AS next_ns,
            coalesce((lead(power_w) OVER times - power_w) / (next_ns - ts_ns), 0) AS slope_w,
            coalesce((lead(temp_c) OVER times - temp_c) / (next_ns - ts_ns), 0) AS slope_c,
            coalesce((lead(power_w) OVER times + power_w) / 2 * (next_ns - ts_ns) * 1e-9, 0) AS next_j,
            coalesce(ts_ns - lag(ts_ns) OVER times > {max_gap_ns}, false)::INT AS is_new_run
        FROM (
            SELECT DISTINCT ON (ts_ns) ts_ns, kv.{key} AS power_w, kv.temp_c AS temp_c
            FROM {lines} WHERE source = '{source}' ORDER BY ts_ns, seq
        )
        WINDOW times AS (ORDER BY ts_ns)
    )
"""

ANNOTATED = """
    SELECT a_ns, b_ns, frame, middle_ns,
        if(before_b.ts_ns = b_ns, before_b.run, before_b.next_run) AS run_b,
        (a_ns + b_ns - 2 * middle.ts_ns) / 2 AS past_ns,
        CASE
            WHEN first_ns IS NULL OR first_ns > b_ns + {max_gap_ns} THEN 'no_source'
            WHEN before_a.run IS NULL THEN 'before_first'
            WHEN run_b IS NULL AND (before_a.run < last_run OR last_ns + {max_gap_ns} < end_ns) THEN 'gap'
            WHEN run_b IS NULL THEN 'after_last'
            WHEN before_a.run < run_b THEN 'gap'
        END AS why,
        CASE WHEN why IS NULL THEN middle.power_w + middle.slope_w * past_ns END AS power_w,
        CASE WHEN why IS NULL THEN {joules_at_b} - {joules_at_a} END AS energy_j,
        CASE WHEN why IS NULL AND past_ns = 0 THEN 0
            WHEN why IS NULL THEN least(past_ns, middle.next_ns - middle.ts_ns - past_ns) / 1e6 END AS power_age_ms,
        CASE WHEN why IS NULL THEN '{source}:{key}' END AS power_source,
        CASE WHEN why IS NULL THEN middle.temp_c + middle.slope_c * past_ns END AS temp_c,
        CASE WHEN why IS NULL THEN NULL WHEN earlier_why = 'no_source' THEN why ELSE earlier_why END AS power_why
    FROM {pairs}
    ASOF LEFT JOIN {samples} before_a ON a_ns >= before_a.ts_ns
    ASOF LEFT JOIN {samples} middle ON middle_ns >= middle.ts_ns
    ASOF LEFT JOIN {samples} before_b ON b_ns >= before_b.ts_ns
    CROSS JOIN (SELECT min(ts_ns) AS first_ns, max(ts_ns) AS last_ns, max(run) AS last_run FROM {samples})
    CROSS JOIN ends
"""

JOULES_AT = "({s}.total_j + ({s}.power_w + {s}.slope_w * ({t} - {s}.ts_ns) / 2) * ({t} - {s}.ts_ns) * 1e-9)"


def lines(path: Path, kv: str) -> str:
    return LINES.format(path=path, kv=kv)


def samples(lines: str, source: str, key: str) -> str:
    return SAMPLES.format(lines=lines, source=source, key=key, max_gap_ns=MAX_GAP_NS)


def annotated(pairs: str, samples: str, source: str, key: str) -> str:
    return ANNOTATED.format(
        pairs=pairs,
        samples=samples,
        source=source,
        key=key,
        max_gap_ns=MAX_GAP_NS,
        joules_at_a=JOULES_AT.format(s="before_a", t="a_ns"),
        joules_at_b=JOULES_AT.format(s="before_b", t="b_ns"),
    )


def statement(raw: Path, out: Path, pair: tuple[str, str]) -> str:
    return STATEMENT.format(
        a=pair[0],
        b=pair[1],
        out=out / "latency.jsonl",
        window_ns=WINDOW_NS,
        pipeline=lines(raw / "pipeline.jsonl", "stage VARCHAR, frame BIGINT"),
        board=lines(raw / "benchlab.jsonl", "p_sys DOUBLE, temp_c DOUBLE"),
        gpu=lines(raw / "telemetry.jsonl", "power_w DOUBLE, temp_c DOUBLE"),
        board_samples=samples("board", "benchlab.usb", "p_sys"),
        by_board=annotated("pairs", "board_samples", "benchlab.usb", "p_sys"),
        gpu_samples=samples("gpu", "gpu.nvml", "power_w"),
        by_gpu=annotated("rest", "gpu_samples", "gpu.nvml", "power_w"),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Pair stages and annotate power in DuckDB.")
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pair", nargs=2, required=True, metavar=("A", "B"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("SET asof_loop_join_threshold = 0")  # its default of 64 takes many times as long here
        connection.execute(statement(args.raw, args.out, (args.pair[0], args.pair[1])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
