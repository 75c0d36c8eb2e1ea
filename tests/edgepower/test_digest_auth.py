from __future__ import annotations

import re

import pytest

from edgepower.collectors.digest_auth import authoriser

# RFC 7616, section 3.9.1
CHALLENGE = (
    'realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
RESPONSE = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"


def fields(header: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="?([^",]+)"?', header.removeprefix("Digest ")))


def test_example_of_the_rfc() -> None:
    header = authoriser(CHALLENGE, "Mufasa", "Circle of Life", lambda: CNONCE)("/dir/index.html")
    assert fields(header) == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": "SHA-256",
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": CNONCE,
        "qop": "auth",
        "response": RESPONSE,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


def test_uses_of_a_nonce_are_counted_and_never_alike() -> None:
    authorise = authoriser(CHALLENGE, "admin", "secret")
    first, second = fields(authorise("/a")), fields(authorise("/a"))
    assert (first["nc"], second["nc"]) == ("00000001", "00000002")
    assert first["cnonce"] != second["cnonce"]
    assert first["response"] != second["response"]


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        'realm="r", nonce="n", qop="auth"',
        'realm="r", nonce="n", qop="auth", algorithm=MD5',
        'realm="r", nonce="n", qop="auth", algorithm=SHA-256-sess',
        'realm="r", nonce="n", algorithm=SHA-256',
        'realm="r", nonce="n", qop="auth-int", algorithm=SHA-256',
        'nonce="n", qop="auth", algorithm=SHA-256',
        'realm="r", qop="auth", algorithm=SHA-256',
    ],
)
def test_weaker_or_broken_challenge_is_not_answered(challenge: str) -> None:
    with pytest.raises(ValueError, match="found"):
        authoriser(challenge, "admin", "secret")
