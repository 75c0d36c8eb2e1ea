"""The dashboard's files: what is served under which path, how long it may be kept, and which scripts may run."""

from __future__ import annotations

import base64
import gzip
import hashlib
from pathlib import Path

import pytest

from support.web_api import fits, served
from webd.pages import MOST_FILE, inline_scripts

THEME = "document.documentElement.dataset.theme=localStorage.theme\n"
NEXT = '(self.__next_f=self.__next_f||[]).push([0,"a < b && c </x>"])'
PAGE = f"""<!doctype html><html><head><script>{THEME}</script><script src="/_next/static/a.js" async=""></script></head>
<body><h1>{{title}}</h1><script>{NEXT}</script><script type="application/json">{{{{}}}}</script></body></html>"""


def digest(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A dashboard as Next.js exports it."""
    folder = tmp_path / "out"
    files = {
        "index.html": PAGE.format(title="live"),
        "404.html": PAGE.format(title="nothing here"),
        "sessions/index.html": PAGE.format(title="sessions"),
        "about.html": "<p>about</p>",
        "_next/static/a.js": "export const a = 1;\n" * 100,
        "_next/static/font.woff2": "w" * 2000,
        "sessions/index.txt": "0:{}\n" * 200,
        ".secret": "hidden",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / "private.txt").write_text("private")
    return folder


@pytest.mark.parametrize(
    ("path", "title"),
    [("/", "live"), ("/sessions/", "sessions"), ("/sessions/?id=dev", "sessions"), ("/about", "about")],
)
def test_page_is_served_under_its_path_and_is_asked_for_each_time(path: str, title: str, out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        response = client.get(path)
    assert response.status_code == 200
    assert title in response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"


def test_folder_without_its_slash_is_sent_there_with_its_query(out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        response = client.get("/sessions?id=dev")
    assert (response.status_code, response.headers["location"]) == (308, "/sessions/?id=dev")


@pytest.mark.parametrize("path", ["//evil.example", "//evil.example/", "/%2fevil.example", "//sessions"])
def test_nobody_is_sent_to_another_host(path: str, out: Path) -> None:
    (out / "evil.example").mkdir()
    (out / "evil.example" / "index.html").write_text("x")
    with served(out.parent, static_dir=out) as client:
        response = client.get("http://127.0.0.1:3010" + path)
    assert not response.headers.get("location", "/").startswith("//")


def test_page_that_is_not_there_is_the_dashboards_own(out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        response = client.get("/gone")
    assert response.status_code == 404
    assert "nothing here" in response.text


def test_policy_lets_exactly_the_inline_scripts_of_the_page_run(out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        policy = client.get("/").headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["script-src"] == f"'self' {digest(THEME)} {digest(NEXT)} {digest('{}')}"
    assert directives["default-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
    assert directives["connect-src"] == "'self'"
    assert "unsafe" not in directives["script-src"]


def test_changed_page_has_a_new_policy(out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        before = client.get("/").headers
        (out / "index.html").write_text("<script>other()</script>")
        after = client.get("/").headers
    assert digest("other()") in after["content-security-policy"]
    assert digest(THEME) not in after["content-security-policy"]
    assert before["etag"] != after["etag"]


def test_script_with_carriage_returns_is_hashed_as_a_browser_reads_it() -> None:
    assert inline_scripts("<script>a\r\nb\rc</script>") == inline_scripts("<script>a\nb\nc</script>")


def test_files_with_a_name_of_their_content_are_kept_for_good(out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        script, font = client.get("/_next/static/a.js"), client.get("/_next/static/font.woff2")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"].startswith("text/javascript")
    assert font.headers["content-type"] == "font/woff2"
    assert "content-encoding" not in font.headers


def test_text_is_packed_for_those_who_take_it_and_is_not_sent_again(out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        with client.stream("GET", "/_next/static/a.js", headers={"Accept-Encoding": "gzip"}) as packed:
            body = b"".join(packed.iter_raw())
        plain = client.get("/_next/static/a.js", headers={"Accept-Encoding": "identity"})
        again = client.get(
            "/_next/static/a.js", headers={"If-None-Match": plain.headers["etag"], "Accept-Encoding": ""}
        )
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == plain.content == (out / "_next/static/a.js").read_bytes()
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == "Accept-Encoding"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../private.txt",
        "/%2e%2e/private.txt",
        "/..%2fprivate.txt",
        "/.secret",
        "/a%00b",
        "/..%5cprivate.txt",
        "/" + "a" * 5000,
    ],
)
def test_nothing_outside_of_the_folder_is_served(path: str, out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        response = client.get(path)
    assert response.status_code == 404
    assert "private" not in response.text
    assert "hidden" not in response.text


def test_link_that_leads_out_of_the_folder_is_not_followed(out: Path) -> None:
    (out / "link.txt").symlink_to(out.parent / "private.txt")
    with served(out.parent, static_dir=out) as client:
        assert client.get("/link.txt").status_code == 404


def test_large_file_is_served_and_not_kept_in_memory(out: Path) -> None:
    (out / "large.bin").write_bytes(b"x" * (MOST_FILE + 1))
    with served(out.parent, static_dir=out) as client:
        assert len(client.get("/large.bin").content) == MOST_FILE + 1


def test_head_has_the_headers_and_no_body(out: Path) -> None:
    with served(out.parent, static_dir=out) as client:
        response = client.head("/")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/sessions/", "/gone"])
def test_without_a_dashboard_the_page_says_what_is_missing_and_how_to_build_it(path: str, tmp_path: Path) -> None:
    with served(tmp_path, static_dir=tmp_path / "out") as client:
        response = client.get(path)
    assert response.status_code == 503
    assert f"{tmp_path}/out/index.html" in response.text
    assert "npm run build" in response.text


def test_path_of_the_api_that_is_not_there_is_json_with_and_without_a_dashboard(out: Path) -> None:
    for folder in (out, out / "gone"):
        with served(out.parent, static_dir=folder) as client:
            response = client.get("/api/gone")
            assert response.status_code == 404
            fits("Error", response.json())
            assert client.post("/gone").status_code == 405
