"""pimon: a small host's state, battery and processes, into the session and over HTTP."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Run the program; with ``--db`` the stand-alone logger, which needs nothing but psutil."""
    words = sys.argv[1:] if argv is None else argv
    if any(word == "--db" or word.startswith("--db=") for word in words):
        from pimon import logger

        return logger.main(words)
    from benchlab import cli

    return cli.run(_agent)(words)


def _agent(argv: list[str] | None = None) -> int:
    from pimon.agent import agent

    return agent(argv)


if __name__ == "__main__":
    raise SystemExit(main())
