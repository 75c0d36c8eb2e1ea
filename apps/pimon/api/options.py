"""Where the API answers, as the command line says it; environment and configuration are under ``pimon.``."""

from __future__ import annotations

import argparse


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options of the API."""
    p.add_argument("--host", metavar="ADDR", help="address of the API (PISTAT_HOST; default: 0.0.0.0)")
    p.add_argument("--port", type=int, metavar="N", help="port of the API (PISTAT_PORT; default: 8585)")
    p.add_argument("--no-api", action="store_true", help="serve no API")


def overrides(args: argparse.Namespace) -> dict[str, tuple[object, str]]:
    """Return what the command line sets, as ``benchlab.cli.context`` takes it."""
    return {"pimon.host": (args.host, "--host"), "pimon.port": (args.port, "--port")}
