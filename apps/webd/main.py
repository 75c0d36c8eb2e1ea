"""webd: the dashboard and its API."""

from __future__ import annotations

import argparse

from benchlab import cli
from benchlab.daemon.notify import Notifier

EXAMPLES = """\
  webd                                        http://127.0.0.1:3010, the session that is current
  webd --session 2025-11-11T14-30-00Z         open on one session
  webd --bind 127.0.0.1:3011 --data-root /var/lib/benchlab
  BENCHLAB_WEB_TOKEN=... webd --bind 0.0.0.0:3010"""


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Run the program."""
    args = _parser().parse_args(argv)
    flags = {"web.bind": (args.bind, "--bind"), "web.static_dir": (args.static_dir, "--static-dir")}
    context = cli.context(args, flags)

    from webd.app import make_app
    from webd.desk import Desk
    from webd.memory import give_back
    from webd.server import Server, listen
    from webd.settings import access_of, static_dir_of

    give_back()
    web = context.config.web
    access, static_dir = access_of(web), static_dir_of(web)
    desk = Desk(context.data_root, context.config, context.session_name)
    listener = listen(web.bind)
    return Server(make_app(desk, access, static_dir), listener, Notifier()).run_here()


def _parser() -> argparse.ArgumentParser:
    p = cli.parser("webd", "Serve the dashboard and its API.", EXAMPLES)
    p.add_argument("--bind", metavar="HOST:PORT", help="where (default: [web].bind, 127.0.0.1:3010)")
    p.add_argument("--static-dir", metavar="DIR", help="the built dashboard (default: [web].static_dir, web/out)")
    return p


if __name__ == "__main__":
    raise SystemExit(main())
