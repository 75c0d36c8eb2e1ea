"""Stage times of frames from a YUAN capture card, into raw/pipeline_yuan.jsonl as flow ``yuan``."""

from __future__ import annotations

from benchlab import cli
from pipeline_probes.capture import capture


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    return capture("yuan", argv)


if __name__ == "__main__":
    raise SystemExit(main())
