"""`./dev bench`: everything that is claimed about speed, measured in one run beside the peers."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping

import django_cache
import django_rules
import keys
import memory_hit
import peers
import shared_tier
import telemetry
import views_asgi
import views_django
import views_flask
from measure import Row, table

SUITES: Mapping[str, Callable[[argparse.Namespace], list[Row]]] = {
    "memory": lambda options: memory_hit.rows(),
    "keys": lambda options: keys.rows(),
    "shared": lambda options: shared_tier.rows(entries=options.entries),
    "peers": lambda options: peers.rows(),
    "asgi": lambda options: views_asgi.rows(),
    "telemetry": lambda options: telemetry.rows(),
    "django": lambda options: django_cache.rows(),
    "django-views": lambda options: views_django.rows(),
    "flask": lambda options: views_flask.rows(),
    "rules": lambda options: django_rules.rows(entries=options.entries),
}


def main() -> int:
    """Run the suites that are asked for; 1 if a goal was missed and `--strict` is given."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--entries", type=int, default=1_000_000, help="in the dropped partition")
    parser.add_argument("--strict", action="store_true", help="fail if a goal is missed")
    parser.add_argument(
        "--one-processor",
        action="store_true",
        help="servers share one with their callers, so that no command waits for another to wake",
    )
    options = parser.parse_args()
    if options.one_processor:
        if not hasattr(os, "sched_setaffinity"):
            parser.error("--one-processor: this system lets no program choose its processors")
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    unknown = sorted(set(options.suites) - SUITES.keys())
    if unknown:
        parser.error(f"no suite {unknown[0]!r}; there are {', '.join(SUITES)}")
    missed = 0
    for name in options.suites or SUITES:
        rows = SUITES[name](options)
        print(f"\n{name}\n{table(rows)}", flush=True)
        missed += sum(row.goal is not None and row.ratio > row.goal for row in rows)
    print(f"\n{missed} goal(s) missed" if missed else "\nevery goal met")
    return 1 if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
