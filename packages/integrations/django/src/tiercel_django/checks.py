"""What `manage.py check` says of the setting, of rules, and with `--deploy` of servers.

tiercel.E001  the setting has a key that nobody knows
tiercel.E002  a key has a value that cannot work
tiercel.E003  a cache cannot be made
tiercel.E004  a dispatcher is unknown, has no such option, or cannot work with its value
tiercel.E005  a rule names a field that its model does not have
tiercel.E006  there is an outbox, but a database has no table for it
tiercel.E007  a shared tier does not answer (only with --deploy)
tiercel.E008  a setting of `tiercel_django.cacheback` is unknown or cannot work
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import router

from tiercel.spi import TiercelError, cache_names, cache_state, check_dispatcher
from tiercel_django import conf, outbox
from tiercel_django.changes.watched import sources
from tiercel_django.configured import cache_problems
from tiercel_django.opened import alias_problems

TAG = "tiercel"


def register_checks() -> None:
    """Let Django run the checks."""
    register(check_setting, TAG)
    register(check_rules, TAG)
    register(check_outbox, TAG, Tags.database)
    register(check_servers, TAG, deploy=True)


def check_setting(**_: Any) -> list[CheckMessage]:
    """Check what stands in the setting, and whether its caches and dispatchers exist."""
    found = [*conf.problems(), *cache_problems(), *alias_problems(), *_dispatchers()]
    return [_error(each.number, each.text, each.hint) for each in found]


def check_rules(**_: Any) -> list[CheckMessage]:
    """Check paths of rules that were made before all models were loaded."""
    hint = "Correct the rule on this model."
    texts = {f"{each.label}: {problem}" for each in sources() for problem in each.problems()}
    return [_error(5, text, hint) for text in sorted(texts)]


def check_outbox(databases: Iterable[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that every database whose changes are to be stored has the table."""
    if not conf.current().outbox:
        return []
    from tiercel_django.models import OutboxEntry

    return [
        _error(6, f"database {alias!r} has no table for the outbox", "Run manage.py migrate.")
        for alias in databases or ()
        if router.allow_migrate_model(alias, OutboxEntry) and not outbox.is_there(alias)
    ]


def check_servers(**_: Any) -> list[CheckMessage]:
    """Ask every shared tier whether it is there."""
    return list(_servers())


def _servers() -> Iterator[CheckMessage]:
    for name in cache_names():
        try:
            state = cache_state(name)
        except TiercelError:
            continue  # one of `check_setting`
        if state.reachable is False:
            text = f"the shared tier of cache {name!r} does not answer: {state.error}"
            yield _error(7, text, f"Start it, or correct {conf.SETTING}['CACHES'][{name!r}].")


def _dispatchers() -> Iterator[conf.Problem]:
    setting = conf.current()
    chosen = dict.fromkeys(setting.dispatcher_settings, "DISPATCHER_SETTINGS")
    if setting.default_dispatcher:
        chosen.setdefault(setting.default_dispatcher, "DEFAULT_DISPATCHER")
    for name, key in chosen.items():
        try:
            check_dispatcher(name, setting.dispatcher_options(name))
        except TiercelError as error:
            text = f"{conf.SETTING}[{key!r}]: {error}"
            yield conf.Problem(4, text, "Install it, or correct the setting.")


def _error(number: int, text: str, hint: str) -> Error:
    return Error(text, hint=hint, id=f"tiercel.E{number:03}")
