"""webd's application without a network, and answers held against the schemas of its own document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from benchlab.config import Config
from webd.app import make_app
from webd.desk import Desk
from webd.openapi import document
from webd.security import Access

HERE = "http://127.0.0.1:3010"
DOCUMENT = document()


@contextmanager
def served(
    data_root: Path,
    session: str = "current",
    access: Access | None = None,
    static_dir: Path = Path("/nowhere"),
    base_url: str = HERE,
    config: Config | None = None,
) -> Iterator[TestClient]:
    """Serve a data root; paths are asked of the client."""
    app = make_app(Desk(data_root, config or Config(), session), access, static_dir)
    with TestClient(app, base_url=base_url, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


def fits(name: str, content: Any) -> Any:
    """Return content that fits a schema of the document; else fail, saying where it does not."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    errors = [
        f"{error.json_path}: {error.message[:300]}" for error in Draft202012Validator(schema).iter_errors(content)
    ]
    assert not errors, errors
    return content


def answer(client: TestClient, path: str, name: str, status: int = 200) -> Any:
    """Return the answer to a GET, which must fit a schema."""
    response = client.get(path)
    assert response.status_code == status, response.text
    return fits(name, response.json())
