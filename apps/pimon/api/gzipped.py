"""Answers in gzip, for those who take them so."""

from __future__ import annotations

import gzip
from dataclasses import replace

from benchlab.httpd import Answer, Request

MIN_SIZE = 500
"""Shorter answers are sent as they are: they would hardly shrink."""

_LEVEL = 5


def compressed(request: Request, answer: Answer) -> Answer:
    """Return an answer in gzip, if the client takes that and there is enough of it."""
    if len(answer.body) < MIN_SIZE:
        return answer
    headers = {**answer.headers, "Vary": "Accept-Encoding"}
    if not accepts_gzip(request.headers.get("Accept-Encoding", "")):
        return replace(answer, headers=headers)
    body = gzip.compress(answer.body, _LEVEL, mtime=0)
    return replace(answer, body=body, headers={**headers, "Content-Encoding": "gzip"})


def accepts_gzip(accepted: str) -> bool:
    """Return whether an Accept-Encoding header takes gzip. Source: RFC 9110, section 12.5.3."""
    weights = dict(map(_weight, accepted.lower().split(",")))
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _weight(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.split(";"))
    given = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return name, float(given)
    except ValueError:
        return name, 0.0
