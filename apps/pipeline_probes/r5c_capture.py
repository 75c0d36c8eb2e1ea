"""Stage times of frames from an R5C capture card, into raw/pipeline.jsonl as flow ``r5c``."""

from __future__ import annotations

from benchlab import cli
from pipeline_probes.capture import capture


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    return capture("r5c", argv)


if __name__ == "__main__":
    raise SystemExit(main())
