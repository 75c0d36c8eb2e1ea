"""Notes and bookmarks, the only things that are written: a note on a session, a bookmark on a moment of it."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Annotated, TypeVar
from unicodedata import category

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchlab.bookmarks import write_bookmarks
from benchlab.errors import Fault
from benchlab.event import BOOKMARK, Event
from benchlab.files import FILE_MODE, fsync_dir, share, storage_fault
from benchlab.session import Session
from benchlab.session_folder import timeline_ns
from webd.desk import Desk
from webd.errors import Refusal
from webd.history.remarks import NOTES_FILE, Note
from webd.security import MOST_BODY

MOST_NOTES = 4 * 1024 * 1024
BODY_S = 10.0
AHEAD_NS = 60_000_000_000
NS_PER_MS = 1_000_000

T = TypeVar("T")

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Author = Annotated[str, msgspec.Meta(max_length=128)]


class NoteBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is posted as a note."""

    text: Text
    author: Author | None = None


class BookmarkBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is posted as a bookmark; without ``t_ms`` it is on the present."""

    name: Text
    t_ms: Annotated[float, msgspec.Meta(ge=0, le=9e12)] | None = None


def routes(desk: Desk) -> list[Route]:
    """Return the routes that write."""
    here = Remarks(desk)
    return [
        Route("/api/sessions/{name}/notes", here.add_note, methods=["POST"]),
        Route("/api/sessions/{name}/bookmarks", here.add_bookmark, methods=["POST"]),
    ]


class Remarks:
    """Writes one remark at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._turn = asyncio.Lock()

    async def add_note(self, request: Request) -> Response:
        """Append a note to ``notes.jsonl`` of the session."""
        session = self._desk.session(request.path_params["name"])
        body = await read_body(request, NoteBody, '{"text": "...", "author": "..."}')
        note = Note(timeline_ns(session.info), _stripped(body.text, "text"), (body.author or "").strip() or None)
        async with self._turn:
            await asyncio.to_thread(append_note, session.dir, note)
        shown = {"t_ms": note.ts_ns // 1000 / 1000, "text": note.text, "author": note.author}
        return JSONResponse(shown, 201)

    async def add_bookmark(self, request: Request) -> Response:
        """Append a bookmark to ``raw/bookmarks.jsonl`` of the session."""
        session = self._desk.session(request.path_params["name"])
        body = await read_body(request, BookmarkBody, '{"name": "...", "t_ms": 0.0}')
        name, now_ns = _stripped(body.name, "name"), timeline_ns(session.info)
        ts_ns = now_ns if body.t_ms is None else int(body.t_ms * NS_PER_MS)
        if ts_ns > now_ns + AHEAD_NS:
            raise Refusal(400, f"t_ms: found {body.t_ms}, expected a time up to now, {now_ns // NS_PER_MS}")
        async with self._turn:
            await asyncio.to_thread(_write_bookmark, session, Event(ts_ns, BOOKMARK, {"text": name}))
        return JSONResponse({"t_ms": ts_ns // 1000 / 1000, "name": name}, 201)


async def read_body(request: Request, kind: type[T], expected: str) -> T:
    """Return the body of a request, decoded. Raises Refusal: 400, 413."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(400, f"Content-Type: found {media_type[:80]!r}, expected application/json")
    try:
        data = await asyncio.wait_for(_read(request), BODY_S)
    except asyncio.TimeoutError:
        raise Refusal(400, f"the body stood still for {BODY_S:g} s") from None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(400, f"found {error}, expected {expected}") from None


async def _read(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MOST_BODY:
            raise Refusal(413, f"found a body of more than {MOST_BODY} bytes", headers={"Connection": "close"})
    return bytes(data)


def append_note(session_dir: Path, note: Note) -> None:
    """Append a note with one write, and make it durable. Raises Refusal (404, 413, 500)."""
    path = session_dir / NOTES_FILE
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    except FileNotFoundError:
        raise Refusal(404, f"session {session_dir.name} is gone") from None
    except OSError as error:
        raise Refusal(500, storage_fault(error, session_dir).message) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)  # else another one's half-written note would be taken for a torn line
        size = os.fstat(fd).st_size
        if size > MOST_NOTES:
            raise Refusal(413, f"found {size} bytes of notes in {session_dir.name}, expected at most {MOST_NOTES}")
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        line = b"\n" * torn + msgspec.json.encode(note) + b"\n"
        if os.write(fd, line) < len(line):
            raise Refusal(500, f"{path} was not written whole: is the disk full?")
        share(fd)
        os.fsync(fd)
        if not size:
            fsync_dir(session_dir)
    except OSError as error:
        raise Refusal(500, storage_fault(error, session_dir).message) from error
    finally:
        os.close(fd)


def _write_bookmark(session: Session, bookmark: Event) -> None:
    """Write a bookmark. Raises Refusal (409)."""
    try:
        write_bookmarks(session, [bookmark])
    except Fault as fault:
        raise Refusal(409, fault.message) from fault


def _stripped(text: str, what: str) -> str:
    stripped = text.strip()
    if not stripped or any(category(sign) == "Cc" and sign not in "\n\t" for sign in stripped):
        raise Refusal(400, f"{what}: found no text, or some that cannot be printed")
    return stripped
