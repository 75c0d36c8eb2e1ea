"""GStreamer for Python, loaded when a pipeline is to be run and not before."""

from __future__ import annotations

from typing import Any

from benchlab.daemon import Absent

FIX = (
    "sudo apt-get install -y gir1.2-gstreamer-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-ugly gcc python3-dev pkg-config libgirepository1.0-dev libcairo2-dev "
    "&& pip install -r requirements-gst.txt"
)


def load() -> Any:
    """Return the initialised ``Gst`` namespace of PyGObject. Raises Absent, with what installs it."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
        from gi.repository import Gst
    except (ImportError, ValueError) as error:
        raise Absent(f"GStreamer for Python is not there: {error}", FIX) from error
    Gst.init(None)
    return Gst
