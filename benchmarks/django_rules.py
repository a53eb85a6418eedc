"""What rules on models cost: a save with one, many saves in a transaction, a drop on Redis.

Settings of Django hold for a whole process, so this measures in one of its own.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from measure import Row, medians

SAVES = 1000
PARTITIONS = 7
_serial = itertools.count()


def rows(*, entries: int) -> list[Row]:
    """Measure in another process; `entries` are in the partition that is dropped."""
    command = [sys.executable, __file__, str(entries)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    return [Row(**each) for each in json.loads(done.stdout)]


def _measure(entries: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        models = _set_up(Path(folder))
        return [*_saves(models), _merged(models["by_owner"]), _drop(entries)]


def _set_up(folder: Path) -> dict[str, Any]:
    """Configure Django with a SQLite file, and make three models that are alike."""
    import django
    from django.conf import settings

    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db.sqlite3"}
    settings.configure(
        SECRET_KEY="benchmark",
        DATABASES={"default": database},
        INSTALLED_APPS=["tiercel_django"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()
    from django.db import connection

    made = {name: _model(name) for name in ("plain", "by_key", "by_owner")}
    with connection.schema_editor() as editor:
        for model in made.values():
            editor.create_model(model)
    return made


def _model(name: str) -> Any:
    from django.db import models

    fields: dict[str, Any] = {
        "owner": models.IntegerField(default=1),
        "name": models.CharField(max_length=50, default="cup"),
        "price": models.IntegerField(default=3),
        "status": models.CharField(max_length=10, default="draft"),
        "created": models.DateTimeField(auto_now_add=True),
    }
    meta = type("Meta", (), {"app_label": "benchmark"})
    return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


def _ruled(model: Any, path: str) -> Any:
    """Return a function cached in memory, with one rule that is carried out inline."""
    from tiercel import ArgsKeyField, InvalidationRule, cache_result

    @cache_result(
        key={"what": ArgsKeyField("what", partition=True)},
        invalidates_on=[InvalidationRule(model, field_mapping={"what": path})],
        name=f"{model.__name__}.{path}.{next(_serial)}",
    )
    def function(what: Any) -> Any:
        return what

    return function


def _saves(models: dict[str, Any]) -> list[Row]:
    """A save that drops one partition, against a save of a model without rules."""
    functions = [_ruled(models["by_key"], "pk"), _ruled(models["by_owner"], "owner")]
    instances = {name: model.objects.create() for name, model in models.items()}
    for function in functions:
        function(1)
    timed = medians({name: each.save for name, each in instances.items()}, calls=100, rounds=41)
    plain = timed["plain"]
    return [
        Row("save() with one rule on its key", timed["by_key"], plain, "plain save()", 1.5),
        Row("save() with one rule on another column", timed["by_owner"], plain, "plain save()"),
    ]


def _merged(model: Any) -> Row:
    """Count the drops that many saves in one transaction make."""
    from django.db import transaction

    import tiercel
    from tiercel.spi import DropScopes
    from tiercel.testing import SimulatedBackend

    dropped: list[str] = []

    class Counting(SimulatedBackend):
        def execute(self, command: Any) -> Any:
            if isinstance(command, DropScopes):
                dropped.extend(scope.name for scope in command.scopes)
            return super().execute(command)

    tiercel.configure(default=tiercel.Cache(backend=Counting(), memory=0))
    function = _ruled(model, "owner")
    many = model.objects.bulk_create(model(owner=n % PARTITIONS) for n in range(SAVES))
    dropped.clear()
    with transaction.atomic():
        for instance in many:
            instance.save()
    own = [name for name in dropped if function.cached_function.name in name]
    what = f"drops of {SAVES:,} saves in one transaction"
    return Row(what, len(own), PARTITIONS, "partitions", 1.0)


def _drop(entries: int) -> Row:
    """Time the drop of a large partition on Redis against a millisecond."""
    import shared_tier

    from tiercel import ArgsKeyField, Cache
    from tiercel.testing.servers import RedisServer

    with RedisServer() as server:
        cache = Cache(server.url, timeout=2.0)
        key = {"tenant": ArgsKeyField("tenant", partition=True), "item": ArgsKeyField("item")}

        @cache.cached(tiers="shared", name="drop", key=key)
        def row(tenant: str, item: int) -> int:
            return item

        row("large", 0)
        shared_tier.fill_fast(server, row.get_cache_key("large", 0), entries)
        taken = []
        for _ in range(200):
            began = time.perf_counter()
            row.delete_by_prefix(tenant="large")
            taken.append((time.perf_counter() - began) * 1e6)
        cache.close()
    return Row(f"drop of a partition of {entries:,} on Redis", median(taken), 1000.0, "1 ms", 1.0)


if __name__ == "__main__":
    measured = _measure(int(sys.argv[1]))
    names = ("what", "ours", "theirs", "peer", "goal")
    print(json.dumps([{name: getattr(row, name) for name in names} for row in measured]))
