"""Which Dramatiq broker a dispatcher sends to, and whether it can."""

from __future__ import annotations

import importlib
from functools import reduce
from typing import Any

import dramatiq
from dramatiq import broker as state

from tiercel.spi import ConfigurationError


def check_broker(broker: object) -> None:
    """Check the option `broker`, without importing what it names.

    Raises:
        ConfigurationError: It is neither a broker nor the path of one.
    """
    path = isinstance(broker, str) and broker.count(":") == 1 and all(broker.split(":"))
    if not (broker is None or path or isinstance(broker, dramatiq.Broker)):
        raise ConfigurationError(
            f'broker must be a Dramatiq broker or its path such as "proj.tasks:broker", '
            f"not {broker!r}"
        )


def known_broker(broker: dramatiq.Broker | str | None) -> dramatiq.Broker | None:
    """Return the broker that the option means, if that is known without an import."""
    return (
        state.global_broker if broker is None else broker if not isinstance(broker, str) else None
    )


def find_broker(broker: dramatiq.Broker | str | None) -> dramatiq.Broker:
    """Return the broker that the option means.

    Raises:
        ConfigurationError: There is no such broker.
    """
    found = _named(broker) if isinstance(broker, str) else known_broker(broker)
    if found is None:
        raise ConfigurationError(
            "there is no Dramatiq broker: call dramatiq.set_broker(), or give the option "
            'broker="proj.tasks:broker"'
        )
    return found


def _named(path: str) -> dramatiq.Broker:
    module, _, name = path.partition(":")
    try:
        found: Any = reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"there is no Dramatiq broker {path!r}: {error}") from error
    if not isinstance(found, dramatiq.Broker):
        raise ConfigurationError(f"{path!r} is no Dramatiq broker but {found!r}")
    return found


def check_ability(broker: dramatiq.Broker, priority: int | None = None) -> None:
    """Check that a broker does what is asked of it.

    Raises:
        ConfigurationError: It would lose tasks, or has no priorities; says how to make it.
    """
    if "max_retries" not in broker.actor_options:
        raise ConfigurationError(
            "the Dramatiq broker has no Retries middleware, so tasks that fail would be lost: "
            "add dramatiq.middleware.Retries()"
        )
    if getattr(broker, "confirm_delivery", True) is False:
        raise ConfigurationError(
            "RabbitmqBroker loses tasks when its connection breaks: give it confirm_delivery=True"
        )
    if priority is not None:
        highest = getattr(broker, "max_priority", None)
        if highest is None:
            raise ConfigurationError(
                f"priority={priority} has no effect: only RabbitmqBroker(max_priority=10) has "
                "priorities; use a queue with workers of its own instead"
            )
        if not 0 <= priority <= highest:
            raise ConfigurationError(f"priority must be 0 to {highest}, not {priority!r}")
