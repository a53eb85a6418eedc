"""Every example of Duck's page, over real HTTP: gunicorn, two workers that share Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sites.duck import DuckTests, Site, served

APP = "packages.integrations.flask.tests.duck_site:app"


class TestFlaskDuck(DuckTests):
    """The examples in this framework."""

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
        """The application as gunicorn serves it."""
        with served(APP, tmp_path_factory.mktemp("files")) as made:
            yield made
