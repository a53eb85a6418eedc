"""The table of attacks, and everything else that an integration promises, in Django."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import pytest

from packages.integrations.django.tests.served import serve_pages
from tiercel.testing import IntegrationConformance
from tiercel.testing.pages import Client, Page


class TestFunctions(IntegrationConformance):
    """Views that are functions."""

    name = "django"
    kind: ClassVar[str] = "function"

    @contextmanager
    def serve(self, pages: Sequence[Page]) -> Iterator[Client]:
        with serve_pages(pages, self.kind) as client:
            yield client


@pytest.mark.long
class TestMethods(TestFunctions):
    """Decorated methods of views that are classes."""

    kind = "class"


@pytest.mark.long
class TestAsView(TestFunctions):
    """What `as_view()` returned, decorated."""

    kind = "as_view"


class TestCoroutines(TestFunctions):
    """Coroutine functions under ASGI."""

    kind = "coroutine"


@pytest.mark.long
class TestCoroutineMethods(TestFunctions):
    """Decorated coroutine functions of classes, under ASGI."""

    kind = "coroutines of a class"


class TestRest(TestFunctions):
    """Decorated methods of views of Django REST framework."""

    kind = "rest"
