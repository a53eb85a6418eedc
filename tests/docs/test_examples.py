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
from pathlib import Path

import pytest

from tests.docs.pages import LANGUAGES, REDIS, Page, all_pages

PAGES = all_pages()
RUNNING = [page for page in PAGES if page.program().strip()]
SECONDS = 60


def named(page: Page) -> str:
    """Return what pytest calls the test of a page."""
    return page.name


@pytest.mark.parametrize("page", RUNNING, ids=named)
def test_page_when_its_code_runs_then_it_prints_what_it_says(
    page: Page, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Readers can copy the blocks of a page, in order, and see what the page shows."""
    program = page.program()
    if REDIS.search(program):
        program = REDIS.sub(request.getfixturevalue("redis_url"), program)
    (tmp_path / "app.py").write_text(program, encoding="utf-8")
    has_tests = re.search(r"^(def test_|class Test)", program, re.MULTILINE) is not None
    done = run_program(tmp_path, has_tests)
    assert done.returncode == 0, f"{page.name}\n{done.stdout}{done.stderr}"
    if not has_tests:
        assert done.stdout.splitlines() == page.output()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_when_it_has_blocks_then_each_names_its_language(page: Page) -> None:
    """A block that is not run says so by its language; no Python is exempt."""
    unknown = {block.language for block in page.blocks()} - LANGUAGES
    assert not unknown, f"{page.name}: blocks in {unknown}; write one of {sorted(LANGUAGES)}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_when_it_links_to_a_file_then_that_exists(page: Page) -> None:
    """No link between pages is dead."""
    assert [link for link in page.links() if not link.exists()] == []


def test_index_when_a_page_exists_then_it_is_linked() -> None:
    """Every page of `docs/` can be found from its index."""
    index = next(page for page in PAGES if page.name == "docs/index.md")
    others = {page.path for page in PAGES if page.name.startswith("docs/")} - {index.path}
    assert others == {link for link in index.links() if link in others}


def run_program(directory: Path, has_tests: bool) -> subprocess.CompletedProcess[str]:
    """Import `app.py` as the application would be, or give it to pytest."""
    how = (
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "app.py"]
        if has_tests
        else ["-c", "import app"]
    )
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
