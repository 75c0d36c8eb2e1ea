"""HTTP Digest with SHA-256 (RFC 7616) by the standard library, which knows the method but not this hash before 3.14."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from urllib.request import (
    AbstractDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    Request,
    parse_http_list,
    parse_keqv_list,
)


class _Sha256(AbstractDigestAuthHandler):
    def get_algorithm_impls(self, algorithm: str) -> tuple[Callable[[str], str], Callable[[str, str], str]]:
        return _digest, lambda secret, data: _digest(f"{secret}:{data}")


def authoriser(challenge: str, host: str, user: str, password: str) -> Callable[[str], str]:
    """Return what gives the ``Authorization`` header of a GET for a path; it counts its uses of the nonce.

    ``challenge`` is what follows ``Digest`` in ``WWW-Authenticate``. Raises ValueError for one that is not SHA-256 with
    ``qop=auth``: nothing weaker is answered.
    """
    fields = parse_keqv_list([field for field in parse_http_list(challenge) if "=" in field[:-1]])
    algorithm, offered = fields.get("algorithm", "none"), fields.get("qop", "none")
    if algorithm.upper() != "SHA-256" or "auth" not in offered.replace(" ", "").split(","):
        raise ValueError(f"found algorithm {algorithm} and qop {offered}, expected SHA-256 and auth")
    if "realm" not in fields or "nonce" not in fields:
        raise ValueError("found no realm or no nonce")
    fields["qop"] = "auth"
    base = f"http://{host}"
    passwords = HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, base, user, password)  # of any realm
    handler = _Sha256(passwords)
    return lambda path: f"Digest {handler.get_authorization(Request(base + path), fields)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
