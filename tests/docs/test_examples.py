"""Every Python block of the documentation runs, and prints what the page says.

The blocks of a page are one program, `app.py`, in a directory of its own and a fresh process.
What it prints must be what stands behind `#>`, line by line. A program that defines tests is run
by pytest. `redis://localhost:6379` becomes the address of a server that the tests start.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from tests.docs.pages import LANGUAGES, REDIS, Page, all_pages

PAGES = all_pages()
Done = subprocess.CompletedProcess[str]
TESTS = re.compile(r"^(def test_|class Test)", re.MULTILINE)
RUNNING = [page for page in PAGES if page.program().strip()]
SECONDS = 180

PATIENT = """
from tiercel.location import Location
init = Location.__init__
init.__defaults__ = tuple(60.0 if each == 0.2 else each for each in init.__defaults__)
"""
"""Makes caches wait for Redis as long as a busy machine takes, instead of going on without it."""


def named(page: Page) -> str:
    """Return what pytest calls the test of a page."""
    return page.name


@pytest.fixture(scope="session")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[Page, Future[Done]]]:
    """The programs of all selected pages, running beside each other."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    asking = [item for item in items if "runs" in item.fixturenames]
    chosen = [cast("Page", item.callspec.params["page"]) for item in asking]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = {}
        for page in chosen:
            program = page.program()
            if REDIS.search(program):
                program = REDIS.sub(request.getfixturevalue("redis_url"), program)
            directory = tmp_path_factory.mktemp("page")
            started[page] = pool.submit(run_program, program, directory)
        yield started


@pytest.mark.parametrize("page", RUNNING, ids=named)
def test_page_when_its_code_runs_then_it_prints_what_it_says(
    page: Page, runs: Mapping[Page, Future[Done]]
) -> None:
    """Readers can copy the blocks of a page, in order, and see what the page shows."""
    check(page, runs[page].result())


@pytest.mark.parametrize(
    "code", ["print(1)  #> 2", "print(1)", "assert False", "def test_it():\n    assert False"]
)
def test_page_when_its_code_is_wrong_then_it_is_found(code: str, tmp_path: Path) -> None:
    """Wrong and unmentioned output, failing code and failing tests of a page are all noticed."""
    path = tmp_path / "page.md"
    path.write_text(f"# Page\n\n```python\n{code}\n```\n")
    page = Page(path)
    done = run_program(page.program(), tmp_path)
    with pytest.raises(AssertionError):
        check(page, done)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_when_it_has_blocks_then_each_names_its_language(page: Page) -> None:
    """A block that is not run says so by its language; no Python is exempt."""
    unknown = {block.language for block in page.blocks()} - LANGUAGES
    assert not unknown, f"{page.name}: blocks in {unknown}; write one of {sorted(LANGUAGES)}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_when_a_block_quotes_a_file_then_it_stands_there(page: Page) -> None:
    """What a page shows of an example application is what runs, to the letter."""
    for block in page.blocks():
        if block.source is not None:
            source = block.source.read_text(encoding="utf-8")
            assert block.text in source, f"{page.name}:{block.line} is not in {block.source}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_when_it_links_to_a_file_then_that_exists(page: Page) -> None:
    """No link between pages is dead."""
    assert [link for link in page.links() if not link.exists()] == []


def test_index_when_a_page_exists_then_it_is_linked() -> None:
    """Every page of `docs/` can be found from its index."""
    index = next(page for page in PAGES if page.name == "docs/index.md")
    others = {page.path for page in PAGES if page.name.startswith("docs/")} - {index.path}
    assert others == {link for link in index.links() if link in others}


def run_program(program: str, directory: Path) -> Done:
    """Import `app.py` as the application would be, or give it to pytest."""
    (directory / "app.py").write_text(program, encoding="utf-8")
    pytest_ = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "app.py"]
    patient = PATIENT if "redis://127.0.0.1" in program else ""
    how = pytest_ if TESTS.search(program) else ["-c", f"{patient}import app"]
    environment = {name: value for name, value in os.environ.items() if name[:8] != "TIERCEL_"}
    return subprocess.run(
        [sys.executable, "-W", "error", *how],
        cwd=directory,
        env=environment | {"PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def check(page: Page, done: Done) -> None:
    """Compare what a page's program printed with what the page says."""
    assert done.returncode == 0, done.stdout + done.stderr
    if not TESTS.search(page.program()):
        assert done.stdout.splitlines() == page.output()
