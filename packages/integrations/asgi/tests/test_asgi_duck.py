"""Every example of Duck's page over HTTP: uvicorn, two workers, one Redis."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from packages.integrations.asgi.tests.asgi_server import Server, uvicorn
from tiercel.testing.pages import Reply
from tiercel.testing.servers import RedisServer

TESTS = "packages.integrations.asgi.tests"
PATIENCE = 60.0
"""Seconds within which each of two workers gets a request."""

Ask = tuple[str, dict[str, str]]


def plain(target: str) -> Ask:
    """A request without headers that matter."""
    return target, {}


EXAMPLES: dict[str, tuple[list[Ask], str]] = {
    "simple": ([plain("/simple"), plain("/simple?a=1")], "aa"),
    "attributes": ([plain("/attributes"), plain("/attributes?a=1")], "aa"),
    "callable": ([plain("/callable"), plain("/callable")], "aa"),
    "request callable": (
        [("/request-callable", {"X-User": each}) for each in ("ann", "bob", "ann")],
        "aba",
    ),
    "arguments": ([("/arguments", {"X-User": each}) for each in ("ann", "bob", "ann")], "aba"),
    "function": ([plain("/function/x"), plain("/function/y"), plain("/function/x")], "aba"),
    "coroutine": ([plain("/coroutine/x"), plain("/coroutine/y"), plain("/coroutine/x")], "aba"),
    "formatted": ([("/formatted", {"X-User": each}) for each in ("ann", "bob", "ann")], "aba"),
    "namespace": (
        [("/dashboard", {"Cookie": f"session_id={each}"}) for each in ("ann", "bob", "ann")],
        "aba",
    ),
    "skip": ([plain("/skipped"), ("/skipped", {"X-Skip": "1"}), plain("/skipped")], "aba"),
    "own skip": ([plain("/debugged"), ("/debugged", {"X-Debug": "1"}), plain("/debugged")], "aba"),
    "skipping target": (
        [plain("/prerequisite"), plain("/prerequisite")]
        + [("/prerequisite", {"X-Ready": "1"})] * 2,
        "abcc",
    ),
    "class": ([plain("/class"), plain("/class?a=1"), plain("/class")], "aba"),
    "files": ([plain(f"/files/{each}.txt") for each in ("price", "menu", "price")], "aba"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files to serve."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("price.txt", "menu.txt"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture(scope="module", params=["starlette", "fastapi"])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    """The examples in one framework, served by two workers."""
    app = f"{TESTS}.asgi_duck_{request.param}:app"
    with (
        RedisServer() as redis,
        uvicorn(app, 2, TIERCEL_URL=f"{redis.url}?timeout=60", DUCK_FILES=str(folder)) as server,
    ):
        yield server


def workers_of(server: Server, target: str) -> dict[str, Reply]:
    """Send a request until two workers have answered it; return the last reply of each."""
    replies: dict[str, Reply] = {}
    deadline = time.monotonic() + PATIENCE
    with ThreadPoolExecutor(4) as pool:
        while len(replies) < 2 and time.monotonic() < deadline:
            for reply in pool.map(server.send, [target] * 4):
                replies[reply.header("x-worker") or ""] = reply
    return replies


def shape(bodies: list[bytes]) -> str:
    """Return which bodies are alike, as letters."""
    order = list(dict.fromkeys(bodies))
    return "".join("abcdef"[order.index(each)] for each in bodies)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_when_two_workers_serve_it_then_one_entry_answers(
    server: Server, example: str
) -> None:
    """What is alike is computed once among the workers, and what is not is kept apart."""
    asks, expected = EXAMPLES[example]
    for _ in range(3):
        replies = [server.send(target, headers=headers) for target, headers in asks]
        assert {each.status for each in replies} == {200}
        assert shape([each.body for each in replies]) == expected


def test_example_when_one_worker_made_it_then_the_other_has_a_hit(server: Server) -> None:
    """Both workers answer with the very same page."""
    replies = workers_of(server, "/simple")
    assert len(replies) == 2, f"only {set(replies)} answered"
    assert len({each.body for each in replies.values()}) == 1


def test_component_when_it_is_a_hit_then_it_is_rehydrated(server: Server) -> None:
    """`on_cache_result` with one argument gets the component."""
    assert server.send("/rehydrated").body == b"true"


def test_file_when_it_is_changed_then_it_is_read_again(server: Server, folder: Path) -> None:
    """The target is what decides, on every request."""
    before = server.send("/files/price.txt")
    assert server.send("/files/price.txt").is_hit
    path = folder / "price.txt"
    path.write_text("another price")
    os.utime(path, (1, time.time() + 10))
    assert server.send("/files/price.txt").body == b"another price"
    path.write_text("price.txt")
    os.utime(path, (1, 1))
    assert before.body == b"price.txt"


def test_namespace_when_it_is_dropped_then_each_worker_renders_anew(server: Server) -> None:
    """One write ends what one visitor was shown, in whichever worker."""
    mine, other = {"Cookie": "session_id=eve"}, {"Cookie": "session_id=dan"}
    before = [server.send("/dashboard", headers=each).body for each in (mine, other)]
    assert server.send("/leave", "POST", mine).status == 200
    time.sleep(1.0)  # `max_lag` of the memory of the worker that did not drop it is 0.5 s
    after = [server.send("/dashboard", headers=mine) for _ in range(10)]
    assert before[0] not in [each.body for each in after]
    assert len({each.body for each in after}) == 1
    assert server.send("/dashboard", headers=other).body == before[1]


def test_expiry_when_it_is_over_then_the_page_is_made_anew(server: Server) -> None:
    """Half a second is enough for a hit, and no more."""
    first = server.send("/short").body
    time.sleep(0.7)
    second = server.send("/short")
    assert second.body != first
    assert not second.is_hit
