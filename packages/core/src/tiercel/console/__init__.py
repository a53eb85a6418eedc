"""A web page on which people look at caches: `Console`. Needs the extra `tiercel[console]`.

console   who may see what            watching  what all processes do, as it is told
pages     what stands on each page    history   how that went on, kept in the shared tier
actions   what the buttons do         charts    lines and bars as SVG
exchange  requests and responses      guard     cookies, tokens, headers
wsgi, asgi   what serves it           rendering templates
standalone   serving it by itself

It runs no script, loads nothing from elsewhere, and does not change anything unless it is told
to be more than a window.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("jinja2") is None:
    raise ImportError("the web console needs jinja2: pip install 'tiercel[console]'")

from tiercel.console.console import Console
from tiercel.console.exchange import ConsoleRequest, ConsoleResponse

__all__ = ["Console", "ConsoleRequest", "ConsoleResponse"]
