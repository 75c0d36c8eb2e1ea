"""Stage times of frames from an R5C capture card, into raw/pipeline.jsonl as flow ``r5c``."""

from __future__ import annotations

from benchlab import cli
from pipeline_probes.capture import Card, capture

CARD = Card(prog="r5c_capture", title="R5C", flow="r5c", stream="pipeline")


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    return capture(CARD, argv)


if __name__ == "__main__":
    raise SystemExit(main())
