"""What single processes of the application do: `python -m ...warehouse read|change price|stock`."""

from __future__ import annotations

import logging
import os
import sys

import tiercel


def main(action: str, name: str) -> None:
    """Print a cached value, or report a change of what it comes from."""
    logging.basicConfig(level=logging.WARNING)
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        import django

        django.setup()
    from tests.brokers.warehouse import caches

    if action == "read":
        sys.stdout.write(f"{getattr(caches, name)(1)}\n")
    else:
        tiercel.changed(f"warehouse.{name}", old={"item": 1}, new={"item": 1})


main(*sys.argv[1:])
