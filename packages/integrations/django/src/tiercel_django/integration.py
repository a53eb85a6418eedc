"""What Tiercel asks of Django; answers "not mine" as long as no settings are configured."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tiercel.spi import Finding, Integration, Source
from tiercel_django.presence import conf, has_settings
from tiercel_django.web.framework import DjangoFramework


class DjangoIntegration(Integration):
    """Teaches Tiercel Django. It is made in every process that has this package."""

    name = "django"
    web = DjangoFramework()

    def default_url(self) -> str | None:
        if conf() is None:
            return None
        from tiercel_django.configured import default_url

        return default_url()

    def signing_keys(self) -> tuple[bytes, ...]:
        if not has_settings():
            return ()
        from tiercel_django.signing import signing_keys

        return signing_keys()

    def source(self, model: object) -> Source | None:
        if "django.db.models" not in sys.modules:
            return None
        from tiercel_django.source import source_of

        return source_of(model)

    def pack(self, value: object) -> tuple[str, Any] | None:
        if "django.db.models" not in sys.modules:
            return None
        from tiercel_django.packing import pack

        return pack(value)

    def unpack(self, tag: str, data: Any) -> Any:
        from tiercel_django.packing import unpack

        return unpack(tag, data)

    def around_task(self) -> AbstractContextManager[object]:
        if not has_settings():
            return nullcontext()
        from tiercel_django.tasks import connections_kept

        return connections_kept()

    def is_isolated(self) -> bool:
        uncommitted = sys.modules.get("tiercel_django.uncommitted")
        return uncommitted is not None and uncommitted.is_isolated()

    def default_dispatcher(self) -> str | None:
        found = conf()
        return None if found is None else found.default_dispatcher

    def dispatcher_options(self, name: str) -> Mapping[str, Any]:
        found = conf()
        return {} if found is None else found.dispatcher_options(name)

    def raises(self, dispatcher: str) -> bool | None:
        found = conf()
        return None if found is None else found.raises(dispatcher)

    def findings(self) -> Iterable[Finding]:
        if not has_settings():
            return ()
        from tiercel_django.findings import findings

        return findings()

    def running_loop(self) -> asyncio.AbstractEventLoop | None:
        bridge = sys.modules.get("asgiref.sync")
        if bridge is None:
            return None
        thread = bridge.SyncToAsync.threadlocal
        loop: asyncio.AbstractEventLoop | None = getattr(thread, "main_event_loop", None)
        if loop is None or getattr(thread, "main_event_loop_pid", None) != os.getpid():
            return None
        return loop if loop.is_running() else None
