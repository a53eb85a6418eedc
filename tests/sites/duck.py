"""Every example of Duck's page, over real HTTP: gunicorn, two workers that share Redis.

A framework serves the examples on the paths that are asked for here, each answer with its process
in `X-Process`; it finds the Redis in `DUCK_URL` and the folder of files in `DUCK_FILES`.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tiercel.testing.pages import Reply
from tiercel.testing.servers import RedisServer, free_port, wait_until
from tools.environment import ROOT

WORKERS = 2
PATIENCE = 60.0


class Site:
    """The application as it is served.

    Attributes:
        files: The folder of the files that it sends.
    """

    def __init__(self, port: int, files: Path) -> None:
        self._port = port
        self.files = files

    def send(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Send one request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            response = connection.getresponse()
            return Reply(response.status, tuple(response.getheaders()), response.read())
        finally:
            connection.close()

    def send_to_all(self, path: str, **headers: str) -> list[Reply]:
        """Send a request again and again until every worker has answered it."""
        replies: list[Reply] = []
        with ThreadPoolExecutor(2 * WORKERS) as pool:
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                asked = [pool.submit(self.send, path, **headers) for _ in range(2 * WORKERS)]
                replies += [each.result() for each in asked]
                if len({each.header("x-process") for each in replies}) == WORKERS:
                    return replies
        raise AssertionError(f"only one worker answered {len(replies)} requests")

    def body_of_all(self, path: str, **headers: str) -> bytes:
        """Return the body that every worker answers with, from the cache."""
        first = self.send(path, **headers)
        assert first.status == 200, first
        replies = self.send_to_all(path, **headers)
        assert {each.body for each in replies} == {first.body}
        assert all(each.is_hit for each in replies)
        return first.body

    @property
    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return self.send("/who").status == 200
        except OSError:
            return False


@contextmanager
def served(app: str, files: Path) -> Iterator[Site]:
    """Run gunicorn.

    Args:
        app: The application, as gunicorn names it.
        files: The folder of the files that it sends.
    """
    made = Site(port := free_port(), files)
    command = [sys.executable, "-m", "gunicorn", "--workers", str(WORKERS), "--log-level", "error"]
    command += ["--bind", f"127.0.0.1:{port}", app]
    with RedisServer() as redis:
        # A test machine may be slow; a command that takes too long would count as an outage.
        named = {"DUCK_URL": f"{redis.url}?timeout=60", "DUCK_FILES": str(files)}
        server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **named})
        try:
            wait_until(lambda: made.answers, "gunicorn answers")
            made.send_to_all("/who")
            yield made
        finally:
            server.terminate()
            server.wait(60)


class DuckTests:
    """A framework's tests subclass this beside a fixture `site`."""

    def test_attributes_when_they_are_targets_then_workers_share_the_page(self, site: Site) -> None:
        """`targets=["path", "method"]`; a POST goes to the view."""
        page = site.body_of_all("/attributes")
        posted = {site.send("/attributes", "POST").body for _ in range(2)}
        assert len(posted | {page}) == 3

    def test_views_when_their_targets_are_the_same_then_they_do_not_mix(self, site: Site) -> None:
        """Two views with `targets=["method"]`."""
        assert site.body_of_all("/other").startswith(b"other ")
        assert site.body_of_all("/another").startswith(b"another ")

    def test_function_when_it_is_a_target_then_its_result_decides(self, site: Site) -> None:
        """`{static_mtime: {"args": None}}` on a view that sends files."""
        for name in ("a.txt", "b.txt"):
            (site.files / name).write_text(f"first {name}")
        assert site.body_of_all("/files/a.txt") == b"first a.txt"
        assert site.body_of_all("/files/b.txt") == b"first b.txt"
        rendered = site.send("/files/a.txt").header("x-rendered")
        (site.files / "a.txt").write_text("second")
        os.utime(site.files / "a.txt", ns=(1, 1))
        assert site.body_of_all("/files/a.txt") == b"second"
        assert site.send("/files/a.txt").header("x-rendered") != rendered

    def test_request_callable_when_it_is_a_target_then_it_is_called(self, site: Site) -> None:
        """`{"get_user_id": {"args": ()}}`, `{"compute_key": {"args": ("{request.method}",)}}`."""
        ann, bob = (site.body_of_all("/request-callable", X_User=user) for user in ("ann", "bob"))
        assert ann != bob
        assert site.body_of_all("/request-callable", X_User="ann") == ann
        site.body_of_all("/request-callable-args")

    def test_external_function_when_it_is_a_target_then_arguments_are_filled_in(
        self, site: Site
    ) -> None:
        """`{compute_hash: {"args": ("{request.path}",)}}`."""
        assert site.body_of_all("/hashed/a").startswith(b"a ")
        assert site.body_of_all("/hashed/b").startswith(b"b ")

    def test_formatting_when_attributes_are_nested_then_they_are_followed(self, site: Site) -> None:
        """`{request.user.id}` and `{request.fullpath}`, in args and kwargs."""
        asked = [("/formatted?a=1", "ann"), ("/formatted?a=1", "bob"), ("/formatted?a=2", "ann")]
        bodies = [site.body_of_all(path, X_User=user) for path, user in asked]
        assert len(set(bodies)) == 3
        assert site.body_of_all("/formatted?a=1", X_User="ann") == bodies[0]

    def test_namespace_when_it_is_a_callable_then_users_are_apart_and_dropped(
        self, site: Site
    ) -> None:
        """`namespace=lambda request: request.COOKIES.get("session_id")`; one write drops one."""
        cookies = {user: f"session_id={user}" for user in ("ann", "bob")}
        ann, bob = (site.body_of_all("/dashboard", Cookie=each) for each in cookies.values())
        assert ann != bob
        site.send("/dashboard/drop/ann")

        def is_dropped() -> bool:
            replies = site.send_to_all("/dashboard", Cookie=cookies["ann"])
            return all(each.body != ann for each in replies)

        wait_until(is_dropped, "every worker has dropped the page")
        assert site.body_of_all("/dashboard", Cookie=cookies["bob"]) == bob

    @pytest.mark.parametrize(("path", "word"), [("/skipping", "skip"), ("/debugging", "debug")])
    def test_skip_attribute_when_it_is_true_then_the_cache_is_left_out(
        self, site: Site, path: str, word: str
    ) -> None:
        """`request.skip_cache`, or an attribute of another name."""
        kept = site.body_of_all(path)
        skipped = {site.send(f"{path}?{word}=1").body for _ in range(3)}
        assert len(skipped | {kept}) == 4
        assert site.body_of_all(path) == kept

    def test_hook_when_the_cache_answers_then_a_component_is_brought_to_life(
        self, site: Site
    ) -> None:
        """`on_cache_result=rehydrate`, which takes the component alone."""
        first = site.send("/component/rehydrated").body
        assert first.startswith(b"made component ")
        replies = site.send_to_all("/component/rehydrated")
        assert {each.body for each in replies} == {first.replace(b"made", b"bound")}

    def test_static_component_when_it_is_kept_then_workers_share_it(self, site: Site) -> None:
        """`returns_static_response=True`."""
        first = site.send("/component/static").body
        assert {each.body for each in site.send_to_all("/component/static")} == {first}

    def test_class_when_its_method_is_a_coroutine_then_it_is_cached(self, site: Site) -> None:
        """An async class-based view with `targets=["fullpath", "method"]` on its `run(self)`."""
        one, two = (site.body_of_all(f"/class?a={number}") for number in (1, 2))
        assert one != two

    def test_expiry_when_it_has_passed_then_the_view_is_called(self, site: Site) -> None:
        """`expiry=0.3` in seconds."""
        first = site.send("/short").body
        wait_until(lambda: site.send("/short").body != first, "the page has expired")

    def test_backend_when_it_is_in_memory_then_each_worker_has_its_own(self, site: Site) -> None:
        """`cache_backend=InMemoryCache(maxkeys=2048)`."""
        site.send_to_all("/own-backend")
        replies = site.send_to_all("/own-backend")
        assert all(each.is_hit for each in replies)
        assert len({(each.header("x-process"), each.body) for each in replies}) == WORKERS
        assert len({each.body for each in replies}) == WORKERS

    def test_prerequisite_when_it_fails_then_the_request_is_not_cached(self, site: Site) -> None:
        """A target raises `SkipViewCaching`."""
        ready = site.body_of_all("/prerequisite")
        unready = {site.send("/prerequisite?unready=1").body for _ in range(3)}
        assert len(unready | {ready}) == 4

    def test_page_when_many_ask_for_it_at_once_then_it_is_rendered_once(self, site: Site) -> None:
        """Concurrent misses in both workers share one rendering."""
        path = f"/hashed/{uuid4()}"
        with ThreadPoolExecutor(8) as pool:
            bodies = {each.body for each in pool.map(lambda _: site.send(path), range(16))}
        assert len(bodies) == 1
