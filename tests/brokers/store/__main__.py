"""One process of the store: `python -m tests.brokers.store 'save price 1' 'read price'`.

Each argument is a command about the first product: `save` through the model, `sneak` a value
into the table behind Tiercel's back, or `read` through the cache, which prints.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import django
from django.core.management import call_command
from django.db import connection

django.setup()

from tests.brokers.store.models import Price, Stock  # noqa: E402
from tests.brokers.store.prices import price  # noqa: E402
from tests.brokers.store.stocks import stock  # noqa: E402

MODELS: dict[str, type[Price] | type[Stock]] = {"price": Price, "stock": Stock}
FUNCTIONS = {"price": price, "stock": stock}


def create() -> None:
    """Make the tables."""
    call_command("migrate", run_syncdb=True, verbosity=0)


def save(what: str, amount: str) -> None:
    """Save a row, as an application does."""
    MODELS[what](product=1, amount=int(amount)).save()


def sneak(what: str, amount: str) -> None:
    """Change a row so that nobody notices."""
    table = MODELS[what]._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET amount = %s WHERE product = 1", [int(amount)])


def read(what: str) -> None:
    """Print what the cache says."""
    sys.stdout.write(f"{FUNCTIONS[what](1)}\n")


COMMANDS: dict[str, Callable[..., None]] = {
    "create": create,
    "save": save,
    "sneak": sneak,
    "read": read,
}

logging.basicConfig(level=logging.WARNING)
for argument in sys.argv[1:]:
    command, *words = argument.split()
    COMMANDS[command](*words)
