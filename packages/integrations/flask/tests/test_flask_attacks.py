"""The table of attacks, and everything else that an integration promises, in Flask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import pytest
from flask import Flask

from packages.integrations.flask.tests.sites import add_page
from tiercel.testing import IntegrationConformance
from tiercel.testing.clients import WsgiClient
from tiercel.testing.pages import Client, Page
from tiercel_flask import Tiercel


class TestFunctions(IntegrationConformance):
    name = "flask"
    kind: ClassVar[str] = "function"

    @contextmanager
    def serve(self, pages: Sequence[Page]) -> Iterator[Client]:
        app = Flask("kit")
        app.config["SECRET_KEY"] = "a secret of some length"
        Tiercel(app)
        for page in pages:
            add_page(app, page, self.kind)
        yield WsgiClient(app)


class TestCoroutines(TestFunctions):
    kind = "coroutine"


@pytest.mark.long
class TestClasses(TestFunctions):
    kind = "class"
