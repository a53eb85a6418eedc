"""The table of attacks, and everything else that an integration promises, in every kind of view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import pytest

from packages.integrations.asgi.tests.asgi_sites import site
from tiercel.testing import IntegrationConformance
from tiercel.testing.clients import AsgiClient
from tiercel.testing.pages import Client, Page


class InStarlette(IntegrationConformance):
    name = "asgi"
    kind: ClassVar[str]

    @contextmanager
    def serve(self, pages: Sequence[Page]) -> Iterator[Client]:
        with AsgiClient(site(pages, self.kind)) as client:
            yield client


@pytest.mark.long
class TestStarletteFunctions(InStarlette):
    kind = "function"


class TestStarletteCoroutines(InStarlette):
    kind = "coroutine"


@pytest.mark.long
class TestStarletteEndpoints(InStarlette):
    kind = "class"


class TestFastApiFunctions(InStarlette):
    kind = "fastapi function"


class TestFastApiCoroutines(InStarlette):
    kind = "fastapi coroutine"
