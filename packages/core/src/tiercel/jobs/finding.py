"""Classes of jobs by name."""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TypeVar

log = logging.getLogger("tiercel.jobs")

C = TypeVar("C")


def find_class(path: str, base: type[C]) -> type[C] | None:
    """Return a subclass of `base` by its module and name; None if there is none.

    A module is imported only if its top-level package is already: a name may come from a queue,
    which must not be able to load whatever is installed.
    """
    module, _, name = path.rpartition(".")
    if not module or module.partition(".")[0] not in sys.modules:
        return None
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        log.exception("module %s of a job cannot be imported", module)
        return None
    return found if isinstance(found, type) and issubclass(found, base) else None
