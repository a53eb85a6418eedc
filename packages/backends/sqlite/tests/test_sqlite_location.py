"""URLs, options and files that work, and the errors for those that do not."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tiercel import Cache
from tiercel.spi import SPI_VERSION, BackendLocation, BackendUnavailable, ConfigurationError, Read
from tiercel.testing.conformance.tier import Tier
from tiercel_sqlite.declared import CAPABILITIES
from tiercel_sqlite.location import settings_of
from tiercel_sqlite.plugin import open_backend, tiercel_backends


def test_spec_when_asked_names_the_scheme_and_its_options() -> None:
    """The plugin offers one scheme."""
    (spec,) = tiercel_backends()
    assert (spec.name, spec.spi, spec.capabilities) == ("sqlite", SPI_VERSION, CAPABILITIES)
    assert spec.options == {"max_bytes", "max_entries"}


def test_url_with_three_slashes_is_relative_to_the_directory_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is fixed when the backend is made, whatever chdir follows."""
    monkeypatch.chdir(tmp_path)
    assert settings_of(BackendLocation("sqlite:///a%20b.db")).path == tmp_path / "a b.db"


def test_url_with_four_slashes_is_absolute(tmp_path: Path) -> None:
    """The fourth slash is the root."""
    location = BackendLocation(f"sqlite:///{tmp_path}/c.db?max_bytes=1", options={"max_bytes": "7"})
    settings = settings_of(location)
    assert (settings.path, settings.max_bytes) == (tmp_path / "c.db", 7)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite://cache.db", "sqlite://cache.db: write sqlite:///relative.db with three slashes"),
        ("sqlite://", "sqlite://: write sqlite:///relative.db"),
        ("sqlite:///:memory:", "processes cannot share it; write memory:// instead"),
        ("sqlite:////no/such/dir/c.db", "create it: mkdir -p /no/such/dir"),
        ("sqlite:////tmp", "'/tmp' is a directory; name a file in it"),
    ],
)
def test_url_that_names_no_file_is_refused_with_the_fix(url: str, says: str) -> None:
    """The error comes when the backend is made and says what to write."""
    with pytest.raises(ConfigurationError) as error:
        open_backend(BackendLocation(url))
    assert says in str(error.value)


@pytest.mark.parametrize("given", ["0", "-5", "many", None, "1.5"])
def test_option_that_is_no_positive_number_is_refused(tmp_path: Path, given: object) -> None:
    """Bounds are positive whole numbers."""
    location = BackendLocation(f"sqlite:///{tmp_path}/c.db", options={"max_entries": given})
    with pytest.raises(ConfigurationError, match=r"max_entries=.*positive whole number"):
        open_backend(location)


def test_file_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Neither a foreign database nor a text file is touched."""
    database, text = tmp_path / "their.db", tmp_path / "notes.txt"
    with sqlite3.connect(database) as db:
        db.execute("CREATE TABLE precious (x)")
    db.close()
    text.write_text("precious")
    for path in (database, text):
        before = path.read_bytes()
        with pytest.raises(ConfigurationError, match="belongs to another program"):
            open_backend(BackendLocation(f"sqlite:///{path}"))
        assert path.read_bytes() == before


def test_file_of_another_program_that_appears_later_is_left_alone_too(tmp_path: Path) -> None:
    """The owner is checked again when the file is opened; by then nobody expects to configure."""
    path = tmp_path / "c.db"
    backend = open_backend(BackendLocation(f"sqlite:///{path}"))
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE precious (x)")
    db.close()
    with pytest.raises(BackendUnavailable, match="belongs to another program"):
        Tier(backend).value(Tier(backend).key())
    with pytest.raises(BackendUnavailable, match="belongs to another program"):
        backend.open_mailbox("waiter")


def test_file_of_another_version_is_made_anew(tmp_path: Path) -> None:
    """Our own file with unknown tables is emptied and used."""
    url = BackendLocation(f"sqlite:///{tmp_path}/c.db")
    first = open_backend(url)
    tier = Tier(first)
    tier.store(tier.key(), b"value")
    first.close()
    with sqlite3.connect(tmp_path / "c.db") as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("ALTER TABLE entries RENAME TO something_newer")
    db.close()
    second = open_backend(url)
    again = Tier(second, space=tier.space)
    assert second.execute(Read(tier.key())).payload is None
    again.store(tier.key(), b"value")
    assert again.value(tier.key()) == b"value"
    second.close()


def test_empty_file_is_used(tmp_path: Path) -> None:
    """A file made by `touch` or `tempfile` belongs to nobody."""
    (tmp_path / "c.db").touch()
    backend = open_backend(BackendLocation(f"sqlite:///{tmp_path}/c.db"))
    tier = Tier(backend)
    tier.store(tier.key(), b"value")
    assert tier.value(tier.key()) == b"value"
    backend.close()


def test_damaged_file_is_unavailable_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    """Rubbish behind a valid header is reported as damage, never served."""
    path = tmp_path / "c.db"
    backend = open_backend(BackendLocation(f"sqlite:///{path}"))
    tier = Tier(backend)
    tier.store(tier.key(), b"value")
    backend.close()
    header = path.read_bytes()[:100]
    path.write_bytes(header + b"\xa5" * 40_000)
    with pytest.raises(BackendUnavailable, match=r"c\.db is damaged .*: delete it"):
        tier.value(tier.key())
    backend.close()


def test_cache_when_its_file_never_goes_back_then_it_keeps_no_journal(tmp_path: Path) -> None:
    """Nobody fails over to an older file, so nobody pays for the memory of drops."""
    location = BackendLocation(f"sqlite:///{tmp_path}/c.db", timeout=5.0)
    cache = Cache(backend=open_backend(location))
    assert cache.engine.pending.journal is None
    cache.close()


TRY_TO_WRITE = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=0.0, isolation_level=None)
try:
    db.execute("BEGIN EXCLUSIVE")
    print("written", end="")
except sqlite3.OperationalError:
    print("locked", end="")
"""


def test_owner_when_it_is_looked_at_then_no_lock_of_this_process_is_lost(tmp_path: Path) -> None:
    """Whoever closes a file loses the locks that its process has on it, in all threads (POSIX)."""
    url, path = f"sqlite:///{tmp_path}/c.db", tmp_path / "c.db"
    first = open_backend(BackendLocation(url))
    tier = Tier(first)
    tier.store(tier.key(), b"value")
    holder = sqlite3.connect(path, isolation_level=None)
    first.close()
    holder.execute("PRAGMA journal_mode = DELETE")  # which locks the file itself
    holder.execute("BEGIN EXCLUSIVE")
    other = (sys.executable, "-c", TRY_TO_WRITE, str(path))
    assert subprocess.run(other, check=True, capture_output=True).stdout == b"locked"
    open_backend(BackendLocation(url)).close()
    assert subprocess.run(other, check=True, capture_output=True).stdout == b"locked"
    holder.close()
    assert subprocess.run(other, check=True, capture_output=True).stdout == b"written"
