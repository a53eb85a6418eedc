"""The console: what its pages show, what its buttons do, and whom it turns away."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from itertools import count
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urljoin, urlsplit
from urllib.request import urlopen

import pytest

from packages.core.tests.stages import wait_until
from tiercel import ArgsKeyField, Cache, ConfigurationError, InvalidationRule, KeyConstructor
from tiercel.configuration import use_caches
from tiercel.console import Console
from tiercel.console.standalone import StandaloneConsole
from tiercel.testing import SimulatedBackend
from tiercel.testing.clients import AsgiClient, WsgiClient
from tiercel.testing.pages import Client, Reply

numbers = count()
EVIL = "<script>document.title='owned'</script>"
HOST = "example.com"


class ShopKey(KeyConstructor):
    shop = ArgsKeyField("shop", partition=True)
    item = ArgsKeyField("item")


class Site:
    """A console over one function, and a browser that keeps its cookie."""

    def __init__(self, **options: Any) -> None:
        self.name = f"shop{next(numbers)}.price"  # those of other tests may live on
        self.computed: list[tuple[Any, ...]] = []
        self.cache = Cache(backend=SimulatedBackend(), name="default")
        rule = InvalidationRule("shops", field_mapping={"shop": "id"}, name="by shop")

        @self.cache.cached(key=ShopKey, name=self.name, index=True, invalidates_on=[rule])
        def price(shop: str, item: int = 1) -> str:
            self.computed.append((shop, item))
            return f"price of {item}"

        self.price = price
        self.console = Console(lambda native: True, wait=0.0, **options)
        self.client: Client = WsgiClient(self.console.wsgi)
        self.cookie = ""

    def get(self, path: str, **query: str) -> Reply:
        """Load a page."""
        target = f"{path}?{urlencode(query)}" if query else path
        reply = self.client.send(target, headers=self._headers())
        self.cookie = (reply.header("set-cookie") or "").partition(";")[0] or self.cookie
        return reply

    def page(self, path: str, **query: str) -> str:
        """Load a page that is there, and return its text."""
        reply = self.get(path, **query)
        assert reply.status == 200, reply.body
        return reply.body.decode()

    def press(self, page: str, label: str, **changed: str) -> Reply:
        """Send the form of a button, as browsers do."""
        forms = re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', page, re.DOTALL)
        ((action, inner),) = [each for each in forms if f"<button>{label}</button>" in each[1]]
        hidden = re.findall(r'name="([^"]+)" value="([^"]*)"', inner)
        fields = {name: unescape(value) for name, value in hidden}
        origin = changed.pop("origin", f"http://{HOST}")
        headers = [*self._headers(), ("Content-Type", "application/x-www-form-urlencoded")]
        headers += [("Origin", origin)] if origin else []
        body = urlencode(fields | changed).encode()
        return self.client.send(action, "POST", headers, body)

    def follow(self, reply: Reply) -> str:
        """Load the page that a button leads to."""
        assert reply.status == 303, reply.body
        target = reply.header("location") or ""
        return self.client.send(target, headers=self._headers()).body.decode()

    def _headers(self) -> list[tuple[str, str]]:
        return [("Host", HOST), ("Cookie", self.cookie)]


@contextmanager
def in_use(site: Site) -> Iterator[None]:
    """Configure the cache of a site for as long as the block runs."""
    former = use_caches({"default": site.cache})
    try:
        yield
    finally:
        site.console.close()
        use_caches(former)
        site.cache.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """A console whose buttons work."""
    made = Site(actions=True, show_values=True)
    with in_use(made):
        yield made


@pytest.fixture
def window() -> Iterator[Site]:
    """A console that only shows."""
    made = Site()
    with in_use(made):
        yield made


def entry(site: Site, *arguments: object) -> str:
    """Return the page of one entry."""
    return site.page("/entry", name=site.name, call=json.dumps(arguments))


def test_console_when_nothing_says_who_may_look_then_it_is_refused() -> None:
    """There is no console for everybody by accident."""
    with pytest.raises(ConfigurationError, match="authorize="):
        Console(None)  # type: ignore[arg-type]


def test_console_when_a_stranger_asks_then_nothing_is_shown() -> None:
    """Neither pages nor buttons, and no name of a function."""
    site = Site(actions=True)
    site.console.authorize = lambda environ: environ.get("REMOTE_USER") == "ann"
    site.price("a")
    with in_use(site):
        for path in ("/", f"/function?name={site.name}", f"/entry?name={site.name}&call=[]"):
            reply = site.client.get(path)
            assert reply.status == 403
            assert b"shop" not in reply.body
        assert (
            site.client.send("/drop", "POST", body=f"function={site.name}".encode()).status == 403
        )


def test_overview_when_functions_were_called_then_it_shows_how_they_were_served(
    window: Site,
) -> None:
    """One computation and three hits are 75 %."""
    for _ in range(4):
        window.price("a")
    page = window.page("/")
    assert window.name in page
    assert "75.0%" in page
    assert "<form" not in page


def test_function_page_when_entries_are_live_then_they_are_listed(window: Site) -> None:
    """With its key, its rules, and a link to each entry."""
    window.price("a", 2)
    page = window.page("/function", name=window.name)
    assert "by shop" in page
    assert "price(&#39;a&#39;, 2)" in page
    link = re.search(r'href="(/entry[^"]+)"', page)
    assert link is not None
    assert "price(&#39;a&#39;, 2)" in window.page(unescape(link[1]))


def test_entry_when_values_are_not_shown_then_the_page_has_none(window: Site) -> None:
    """A window shows times and sizes, and not what was stored."""
    window.price("a", 2)
    page = entry(window, "a", 2)
    assert "fresh" in page
    assert "price of 2" not in page


def test_entry_when_values_are_shown_then_it_is_there_and_nothing_is_computed(site: Site) -> None:
    """Looking is no use of the cache."""
    site.price("a", 2)
    assert "price of 2" in entry(site, "a", 2)
    assert "price of 9" not in entry(site, "a", 9)
    assert site.computed == [("a", 2)]


def test_entry_when_a_rule_dropped_it_then_the_page_names_the_rule(site: Site) -> None:
    """The last drop says who made it."""
    site.price("a", 2)
    site.cache.changed("shops", old={"id": "a"}, new={"id": "b"})
    page = entry(site, "a", 2)
    assert "rule <b>by shop</b> on shops" in page


def test_drop_when_the_button_of_an_entry_is_pressed_then_it_alone_is_gone(site: Site) -> None:
    """And the page that follows says so."""
    site.price("a", 2)
    site.price("a", 3)
    page = site.follow(site.press(entry(site, "a", 2), "Drop"))
    assert "dropped" in page
    site.price("a", 2)
    site.price("a", 3)
    assert site.computed == [("a", 2), ("a", 3), ("a", 2)]


def test_drop_when_the_button_of_a_function_is_pressed_then_all_entries_are_gone(
    site: Site,
) -> None:
    """One write, and everything is computed anew."""
    site.price("a")
    page = site.page("/function", name=site.name)
    assert "everything dropped" in site.follow(site.press(page, "Drop everything"))
    site.price("a")
    assert len(site.computed) == 2


def test_refresh_when_the_button_is_pressed_then_the_call_is_computed(site: Site) -> None:
    """At once, and stored."""
    site.price("a", 2)
    assert "computed" in site.follow(site.press(entry(site, "a", 2), "Refresh"))
    site.price("a", 2)
    assert site.computed == [("a", 2), ("a", 2)]


def test_clear_memory_when_the_button_is_pressed_then_only_memory_is_empty(site: Site) -> None:
    """What is shared is served again."""
    memory = site.cache.engine.memory
    assert memory is not None
    wait_until(lambda: bool(site.price("a")) and len(memory) == 1)  # once drops elsewhere are heard
    reply = site.press(site.page("/"), "Clear memory everywhere")
    assert reply.status == 303
    assert len(memory) == 0
    site.price("a")
    assert len(site.computed) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"token": "guessed"},
        {"token": ""},
        {"origin": "https://evil.example"},
        {"origin": ""},
    ],
    ids=["guessed token", "no token", "other site", "no origin"],
)
def test_button_when_the_form_is_forged_then_nothing_is_done(
    site: Site, changed: dict[str, str]
) -> None:
    """Forms of other sites are refused."""
    site.price("a")
    page = site.page("/function", name=site.name)
    assert site.press(page, "Drop everything", **changed).status == 403
    site.price("a")
    assert len(site.computed) == 1


def test_button_when_the_console_is_a_window_then_forms_are_refused(window: Site) -> None:
    """Even one that is sent by hand, with the right token."""
    window.price("a")
    window.page("/")
    token = window.cookie.partition("=")[2]
    body = urlencode({"function": window.name, "token": token}).encode()
    headers = [("Host", HOST), ("Cookie", window.cookie), ("Origin", f"http://{HOST}")]
    assert window.client.send("/drop", "POST", headers, body).status == 403
    window.price("a")
    assert len(window.computed) == 1


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_button_when_it_is_to_lead_elsewhere_then_it_leads_home(site: Site, back: str) -> None:
    """No open redirect."""
    reply = site.press(site.page("/"), "Clear memory everywhere", back=back)
    target = urlsplit(reply.header("location") or "")
    assert (target.netloc, target.path) == ("", "/")


def test_page_when_the_address_claims_that_something_was_done_then_it_is_not_repeated(
    site: Site,
) -> None:
    """Only the console itself says what a button did."""
    assert "all is lost" not in site.page("/", done="all is lost", proof="00")


def test_page_when_names_and_values_hold_markup_then_it_is_shown_as_text(site: Site) -> None:
    """In lists, keys, calls and messages."""
    site.price(EVIL, 2)
    pages = [site.page("/function", name=site.name), entry(site, EVIL, 2)]
    pages.append(site.get("/function", name=EVIL).body.decode())
    for page in pages:
        assert "<script" not in page
        assert "&lt;script&gt;" in page or quote("<script>") in page


def test_page_when_it_is_served_then_nothing_may_run_or_be_kept(window: Site) -> None:
    """The policy allows the style sheet and forms, and nobody may frame it."""
    reply = window.get("/")
    policy = reply.header("content-security-policy") or ""
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert reply.header("cache-control") == "no-store"
    assert "SameSite=Strict" in (reply.header("set-cookie") or "")
    assert b"http" not in reply.body.replace(b"http-equiv", b"")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/nothing", 404),
        ("/function?name=unknown", 404),
        ("/entry?name=NAME&call=nonsense", 404),
        ("/entry?name=NAME&call=[1,2,3,4]", 404),
    ],
)
def test_page_when_there_is_none_then_the_answer_says_why(
    window: Site, target: str, status: int
) -> None:
    """Mistakes in addresses are told, not raised."""
    reply = window.client.get(target.replace("NAME", window.name))
    assert reply.status == status
    assert b'class="message"' in reply.body


def test_console_when_it_is_mounted_then_links_stay_below_its_path(site: Site) -> None:
    """SCRIPT_NAME stands before every link, form and cookie path."""
    inner = site.console.wsgi

    def mounted(environ: dict[str, Any], start: Any) -> Any:
        return inner({**environ, "SCRIPT_NAME": "/ops/cache"}, start)

    site.client = WsgiClient(mounted)
    site.price("a")
    page = site.page("/")
    links = re.findall(r'(?:href|action)="([^"]+)"', page)
    assert links
    assert all(link.startswith("/ops/cache/") for link in links)


def test_console_when_it_is_served_by_asgi_then_it_answers_the_same(site: Site) -> None:
    """Pages, buttons, and a coroutine function that says who may look."""

    async def authorize(scope: Any) -> bool:
        await asyncio.sleep(0)
        return bool(scope["path"] != "/function")

    site.console.authorize = authorize
    site.price("a")
    with AsgiClient(site.console.asgi) as client:
        site.client = client
        page = site.page("/")
        assert site.name in page
        assert site.press(page, "Clear memory everywhere").status == 303
        assert site.get("/function", name=site.name).status == 403
        assert client.get("/style.css").header("content-type") == "text/css; charset=utf-8"


def test_standalone_when_the_address_is_known_then_it_is_served(site: Site) -> None:
    """And nothing is there for those who only know the port."""
    server = StandaloneConsole(wait=0.0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        site.price("a")
        with urlopen(server.url, timeout=60) as reply:
            assert site.name in reply.read().decode()
        for other in ("/", "/guessed/", urlsplit(server.url).path.rstrip("/")):
            with pytest.raises(HTTPError, match="404"):
                urlopen(urljoin(server.url, other), timeout=60)
    finally:
        server.close()
        thread.join()
