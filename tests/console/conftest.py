"""A browser, a Redis, and the processes of a shop whose cache is looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.console.shop import OWNER, Shop
from tiercel.testing.servers import RedisServer, free_port, wait_until

INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium")
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """Return the path of Chromium; where tests may install things, it is installed.

    Raises:
        RuntimeError: There is none; says the command that installs it.
    """
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI") == "true" and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "--quiet"], check=True, capture_output=True)
        subprocess.run(INSTALL, check=True, capture_output=True)
        found = shutil.which("chromium")
    if found is None:
        raise RuntimeError(f"no Chromium for the tests of the console: {' '.join(INSTALL)}")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Two processes that share a Redis, both with the console."""
    with RedisServer() as redis:
        folder = tmp_path_factory.mktemp("shop")
        made = Shop(tuple(_start(f"{redis.url}?timeout=60", folder / f"{n}.log") for n in range(2)))
        try:
            for port in made.ports:
                wait_until(partial(_answers, port), f"a shop on port {port}")
            yield made
        finally:
            made.stop()


def _start(url: str, log: Path) -> tuple[int, subprocess.Popen[bytes]]:
    port = free_port()
    program = Path(__file__).with_name("shop.py")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(program), url, str(port)], stdout=out, stderr=subprocess.STDOUT
        )
    return port, process


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/price/a/1", timeout=10) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.fixture
def ask(shop: Shop) -> Callable[[int, str], str]:
    """Ask one of the two processes for a price."""

    def price(number: int, path: str) -> str:
        address = f"http://127.0.0.1:{shop.ports[number]}/price/{path}"
        with urllib.request.urlopen(address, timeout=60) as reply:
            return str(reply.read(), "utf-8")

    return price


@pytest.fixture
def owner() -> dict[str, str]:
    """The header by which the shop knows its owner."""
    return {"X-User": OWNER}
