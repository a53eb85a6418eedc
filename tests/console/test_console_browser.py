"""The console in a real browser, over a shop of two processes that share a Redis.

With `TIERCEL_SCREENSHOTS=1` the pictures of the documentation are taken anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.shop import Shop
from tools.environment import ROOT

expect.set_options(timeout=60_000)

EVIL = "<script>document.title='owned'</script>"
IMAGES = ROOT / "docs" / "images"
PATIENCE = 60.0

Ask = Callable[[int, str], str]


@pytest.fixture
def page(browser: Browser, shop: Shop, owner: dict[str, str]) -> Iterator[Page]:
    """A page of the owner's browser, on the console of the first process."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{shop.ports[0]}/ops/",
        extra_http_headers=owner,
        viewport={"width": 1100, "height": 760},
    )
    context.set_default_timeout(PATIENCE * 1000)
    opened = context.new_page()
    yield opened
    context.close()


def reload_until(page: Page, shown: Callable[[], bool]) -> None:
    """Load a page again and again until something is on it."""
    deadline = time.monotonic() + PATIENCE
    while not shown():
        assert time.monotonic() < deadline, page.content()
        page.wait_for_timeout(250)
        page.reload()


def picture(page: Page, name: str) -> None:
    """Take a picture for the documentation, if that is wanted."""
    if os.environ.get("TIERCEL_SCREENSHOTS"):
        page.screenshot(path=IMAGES / name)


def test_overview_when_two_processes_serve_then_it_counts_both(page: Page, ask: Ask) -> None:
    """Calls that the other process served are in the figures, with their share of hits."""
    for number in (0, 1, 1, 1, 1):
        ask(number, "a/1")
    page.goto("")
    row = page.locator("tr", has_text="shop.price")
    reload_until(page, lambda: row.locator("td").nth(6).inner_text() == "2")
    expect(row.locator("td").nth(6)).to_have_text("2")
    assert "%" in row.inner_text()
    picture(page, "console-overview.png")


def test_drop_when_it_is_pressed_in_the_browser_then_the_other_process_sees_it(
    page: Page, ask: Ask
) -> None:
    """The entry of one call is computed anew there, and no other."""
    before = [ask(1, "b/1"), ask(1, "b/2")]
    assert [ask(1, "b/1"), ask(1, "b/2")] == before
    page.goto("function?name=shop.price")
    page.get_by_role("link", name="price('b', 1)").click()
    picture(page, "console-entry.png")
    page.get_by_role("button", name="Drop").click()
    expect(page.get_by_role("status")).to_contain_text("dropped")
    assert ask(1, "b/1") != before[0]
    assert ask(1, "b/2") == before[1]


def test_drops_when_one_was_made_then_it_is_among_the_last(page: Page, ask: Ask) -> None:
    """With who made it, and in which process."""
    ask(0, "c/1")
    page.goto("function?name=shop.price")
    page.get_by_role("button", name="Drop everything").click()
    expect(page.get_by_role("status")).to_contain_text("everything dropped")
    page.goto("")
    reload_until(page, lambda: page.locator("table.drops code").count() > 0)
    expect(page.locator("table.drops tbody tr").first).to_contain_text("hand")
    picture(page, "console-drops.png")


def test_console_when_a_stranger_looks_then_nothing_is_shown(browser: Browser, shop: Shop) -> None:
    """403, and not a word of what is cached."""
    context = browser.new_context()
    stranger = context.new_page()
    reply = stranger.goto(f"http://127.0.0.1:{shop.ports[0]}/ops/")
    assert reply is not None
    assert reply.status == 403
    assert "shop.price" not in stranger.content()
    context.close()


def test_page_when_a_key_holds_a_script_then_it_does_not_run(page: Page, ask: Ask) -> None:
    """It is shown as text, on the list and on the page of its entry."""
    ask(0, f"{quote(EVIL, safe='')}/1")
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("function?name=shop.price")
    link = page.get_by_role("link", name="document.title").first
    expect(link).to_be_visible()
    assert "owned" not in page.title().replace(EVIL, "")
    link.click()
    assert page.locator("script").count() == 0
    assert page.title() != "owned"
    assert errors == []


def test_form_when_another_site_sends_it_then_it_is_refused(
    page: Page, ask: Ask, tmp_path: Path, shop: Shop
) -> None:
    """The browser says where the form stands, and does not send the cookie along."""
    first = ask(1, "d/1")
    page.goto("")
    forged = tmp_path / "forged.html"
    forged.write_text(
        f'<form method="post" action="http://127.0.0.1:{shop.ports[0]}/ops/drop">'
        '<input name="function" value="shop.price"><button>Win</button></form>'
    )
    page.goto(forged.as_uri())
    with page.expect_navigation() as navigation:
        page.get_by_role("button", name="Win").click()
    assert navigation.value is not None
    assert navigation.value.status == 403
    assert ask(1, "d/1") == first
