"""The bookshop of `examples/django_app` runs as its README says, and caches what it claims."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from urllib.parse import urlencode

import pytest

from tiercel.testing.pages import Reply
from tiercel.testing.servers import free_port, wait_until
from tools.environment import ROOT

SHOP = ROOT / "examples" / "django_app"


class Shop:
    """The bookshop, served by Django's own server."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookies: dict[str, str] = {}

    def send(self, path: str, form: Mapping[str, str] | None = None) -> Reply:
        """Send a request with the cookies that were set before."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
            if form is None:
                connection.request("GET", path, headers=headers)
            else:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
                connection.request("POST", path, urlencode(form), headers)
            response = connection.getresponse()
            reply = Reply(response.status, tuple(response.getheaders()), response.read())
        finally:
            connection.close()
        for name, value in reply.headers:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return reply

    @property
    def answers(self) -> bool:
        """Whether it is up."""
        try:
            return self.send("/about").status == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Shop]:
    """Do what the README says, with a Redis."""
    port, database = free_port(), tmp_path_factory.mktemp("shop") / "shop.sqlite3"
    environment = {
        **os.environ,
        "SHOP_DATABASE": str(database),
        "SHOP_CACHE": f"{redis_url}?timeout=60",
    }
    command = [sys.executable, "manage.py"]
    for each in (["migrate", "--run-syncdb", "--verbosity=0"], ["stock"]):
        subprocess.run([*command, *each], cwd=SHOP, env=environment, check=True, timeout=180)
    command += ["runserver", "--noreload", f"127.0.0.1:{port}"]
    server = subprocess.Popen(command, cwd=SHOP, env=environment, stderr=subprocess.DEVNULL)
    try:
        made = Shop(port)
        wait_until(lambda: made.answers, "the shop answers")
        yield made
    finally:
        server.terminate()
        server.wait(60)


def test_shop_when_a_price_changes_then_the_pages_that_show_it_are_new(shop: Shop) -> None:
    """The others stay; forms and baskets are never kept."""
    pages = ("/", "/books/1", "/books/2", "/about")
    for page in pages:
        shop.send(page)
    assert all(shop.send(page).is_hit for page in pages)
    form = shop.send("/books/1/price")
    assert not shop.send("/books/1/price").is_hit
    token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', form.body)
    assert token is not None
    posted = {"price": "99", "csrfmiddlewaretoken": token[1].decode()}
    assert shop.send("/books/1/price", posted).status == 302
    assert [shop.send(page).is_hit for page in pages] == [False, False, True, True]
    assert b"99" in shop.send("/books/1").body


def test_shop_when_two_fill_their_baskets_then_each_has_its_own(shop: Shop) -> None:
    """What is kept for nobody is shown to nobody else."""
    assert b"Falconry" in shop.send("/basket?add=Falconry").body
    assert b"Falconry" in shop.send("/basket").body
    shop.cookies.clear()  # somebody else
    assert b"Falconry" not in shop.send("/basket").body
