"""What `tiercel doctor` looks at in Django: settings, rules, outboxes."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connections

from tiercel.spi import Finding
from tiercel_django import checks, conf, outbox


def findings() -> Iterator[Finding]:
    """Look at the setting TIERCEL, at rules on models, and at the outbox of each database."""
    yield from _settings()
    if conf.current().outbox:
        yield from map(_outbox, connections)


def _settings() -> Iterator[Finding]:
    messages = [*checks.check_setting(), *checks.check_rules()]
    for each in messages:
        yield Finding(str(each.id), "wrong", str(each.msg), str(each.hint))
    if not messages:
        chosen = conf.current().default_dispatcher or "inline"
        yield Finding("settings and rules of Django", "ok", f"dispatcher: {chosen}")


def _outbox(alias: str) -> Finding:
    subject = f"outbox of {alias}"
    if not outbox.is_there(alias):
        return Finding(subject, "wrong", "no table", "run migrate")
    return Finding(subject, "ok", f"{outbox.pending(alias)} entries")
