"""What libvirt's errors mean to whoever wants its machines. Source: virterror.h."""

from __future__ import annotations

import errno
import os
import pwd
from urllib.parse import urlsplit

from benchlab.daemon import Absent, Transient

NO_DOMAIN = 42
_SYSTEM_ERROR = 38
_DENIED = (29, 45, 79, 80, 88)
"""OPERATION_DENIED, AUTH_FAILED, AUTH_CANCELLED, AUTH_UNAVAILABLE, ACCESS_DENIED."""
_NOT_ALLOWED = (errno.EACCES, errno.EPERM)
_NOBODY = (errno.ENOENT, errno.ECONNREFUSED)


def code_of(error: BaseException) -> int | None:
    """Return libvirt's number for an error, None if it is none of libvirt's."""
    ask = getattr(error, "get_error_code", None)
    return None if ask is None else int(ask() or 0)


def explain(error: Exception, uri: str, user: str | None = None) -> Exception:
    """Return what the loop is to be told instead of an error of libvirt; any other error stays what it is."""
    code = code_of(error)
    if code is None:
        return error
    number = getattr(error, "get_int1", lambda: None)() if code == _SYSTEM_ERROR else None
    reason = f"{uri}: {' '.join(str(error).split())}"
    if code in _DENIED or number in _NOT_ALLOWED:
        where = urlsplit(uri).hostname
        user = (urlsplit(uri).username if where else None) or user or user_name()
        on = f"on {where}: " if where else ""
        return Absent(reason, f"{on}sudo usermod -aG libvirt {user}, then log in again")
    if number in _NOBODY and not urlsplit(uri).hostname:
        return Absent(reason, "sudo apt-get install -y libvirt-daemon-system, or sudo systemctl start libvirtd")
    return Transient(reason)


def user_name() -> str:
    """Return the name of the user who runs this program."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
