"""One process of the shop: `python -m ...traced.web read change`. Nothing here is about Tiercel's
traces; the requests have spans, as any web framework's would.
"""

from __future__ import annotations

import sys
from importlib import import_module

import_module("packages.integrations.opentelemetry.tests.traced.broker")

from opentelemetry import trace  # noqa: E402

from packages.integrations.opentelemetry.tests.traced.shop import price  # noqa: E402
from tiercel import changed  # noqa: E402

tracer = trace.get_tracer("web")
for command in sys.argv[1:]:
    if command == "read":
        with tracer.start_as_current_span("GET /price"):
            sys.stdout.write(price(1))
    else:
        with tracer.start_as_current_span("POST /price"):
            changed("shop.Product", old={"id": 1}, new={"id": 1})
