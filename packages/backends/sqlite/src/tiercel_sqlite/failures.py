"""Turns what goes wrong with the file while it is used into Tiercel's two backend errors."""

from __future__ import annotations

import sqlite3

from tiercel.spi import BackendError, BackendRefused, BackendUnavailable, ConfigurationError
from tiercel_sqlite.location import Settings

FAILURES = (sqlite3.Error, OSError, ConfigurationError)
"""What a command may raise: by now the file may be damaged, another program's, or out of reach."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_REFUSING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_TOOBIG}


def translated(failure: Exception, settings: Settings) -> BackendError:
    """Return the backend error for one of `FAILURES`."""
    path, code = settings.path, _code(failure)
    if code == sqlite3.SQLITE_BUSY:
        return BackendUnavailable(
            f"{path}: another process held the write lock for {settings.timeout} s"
        )
    if code in _DAMAGED or "no such table" in str(failure):
        return BackendUnavailable(f"{path} is damaged ({failure}): delete it")
    if code in _REFUSING:
        return BackendRefused(f"{path}: {failure}")
    if isinstance(failure, ConfigurationError):
        return BackendUnavailable(str(failure))
    return BackendUnavailable(f"{path}: {failure}")


def _code(failure: Exception) -> int:
    return getattr(failure, "sqlite_errorcode", 0) & 0xFF
