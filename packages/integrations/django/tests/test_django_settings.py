"""The setting `TIERCEL`: checked, followed when it is overridden, and what it decides."""

from __future__ import annotations

import sys
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test.utils import isolate_apps, modify_settings, override_settings

import tiercel
from packages.integrations.django.tests.shop.models import Product
from tiercel import ArgsKeyField, ConfigurationError, KeyConstructor, cache_result
from tiercel.spi import cached_functions
from tiercel_django.integration import DjangoIntegration
from tiercel_django.source import ModelSource


def _errors(**given: Any) -> dict[str, str]:
    """Return what the checks say of a setting: texts by id."""
    with override_settings(TIERCEL=given):
        return {str(each.id): f"{each.msg} {each.hint}" for each in run_checks(tags=["tiercel"])}


def test_setting_when_right_then_no_complaint() -> None:
    """Everything that the setting may hold passes the checks."""
    assert (
        _errors(
            CACHES={"default": "memory://", "reports": {"url": "memory://?memory=5"}},
            DEFAULT_DISPATCHER="threadpool",
            DISPATCHER_SETTINGS={"threadpool": {"MAX_WORKERS": 2, "RAISE_EXCEPTION": True}},
            DISPATCHER_RAISE_EXCEPTION=False,
            KEY_HASH_ALGORITHM="sha256",
            MAX_KEY_SUFFIX_LENGTH=100,
            HASH_SUFFIX_ON_OVERFLOW=True,
            AUTODISCOVER=["caches"],
            RAW=True,
            OUTBOX=False,
            OUTBOX_GRACE=1.5,
            OUTBOX_INTERVAL=None,
        )
        == {}
    )


@pytest.mark.parametrize(
    ("given", "number", "said"),
    [
        ({"CACHE": {}}, "tiercel.E001", "Did you mean 'CACHES'?"),
        ({"default_dispatcher": "inline"}, "tiercel.E001", "Did you mean 'DEFAULT_DISPATCHER'?"),
        ({"NONSENSE": 1}, "tiercel.E001", "Known are CACHES"),
        ({"CACHES": ["redis://"]}, "tiercel.E002", "must be a dict of names to URLs"),
        ({"OUTBOX": "yes"}, "tiercel.E002", "must be True or False, not 'yes'"),
        ({"MAX_KEY_SUFFIX_LENGTH": 0}, "tiercel.E002", "must be a number of characters"),
        ({"KEY_HASH_ALGORITHM": "md5"}, "tiercel.E002", "128 bits, keys need 256"),
        ({"KEY_HASH_ALGORITHM": "sha257"}, "tiercel.E002", "there is no hash algorithm 'sha257'"),
        ({"CACHES": {"x": "redsi://h"}}, "tiercel.E003", "'redsi'"),
        ({"CACHES": {"x": "memory://?memroy=5"}}, "tiercel.E003", "memroy"),
        ({"CACHES": {"x": 5}}, "tiercel.E003", "give a URL or a dict of options, not 5"),
        ({"DEFAULT_DISPATCHER": "celry"}, "tiercel.E004", "celery"),
        ({"DISPATCHER_SETTINGS": {"threadpol": {}}}, "tiercel.E004", "threadpool"),
        (
            {"DISPATCHER_SETTINGS": {"threadpool": {"max_wokers": 2}}},
            "tiercel.E004",
            "did you mean 'max_workers'?",
        ),
        (
            {"DISPATCHER_SETTINGS": {"threadpool": {"MAX_WORKERS": "2"}}},
            "tiercel.E004",
            "TIERCEL['DISPATCHER_SETTINGS']: max_workers must be an integer of at least 1",
        ),
        ({"DEFAULT_DISPATCHER": "django_q"}, "tiercel.E004", "needs 'django_q' in INSTALLED_APPS"),
    ],
)
def test_setting_when_wrong_then_the_check_says_what_and_how_to_mend_it(
    given: dict[str, Any], number: str, said: str
) -> None:
    """Each mistake has an id, names what is wrong and offers what there is."""
    errors = _errors(**given)
    assert list(errors) == [number]
    assert said in errors[number]


def test_setting_when_no_dict_then_the_check_says_so() -> None:
    """Even the wrong kind of setting is only a complaint."""
    with override_settings(TIERCEL=["redis://"]):
        (error,) = run_checks(tags=["tiercel"])
    assert error.id == "tiercel.E001"


def test_manage_check_when_setting_is_wrong_then_fails() -> None:
    """`manage.py check` ends with an error."""
    with override_settings(TIERCEL={"CACHEZ": {}}), pytest.raises(SystemCheckError, match="E001"):
        call_command("check", stdout=StringIO())


def test_server_when_it_does_not_answer_then_check_deploy_names_the_cache() -> None:
    """Servers are asked only with `--deploy`: an ordinary check needs none."""
    nobody = {"CACHES": {"reports": "redis://127.0.0.1:1/0"}}
    assert _errors(**nobody) == {}
    with override_settings(TIERCEL=nobody):
        found = run_checks(tags=["tiercel"], include_deployment_checks=True)
    assert [str(each.id) for each in found] == ["tiercel.E007"]
    assert "'reports' does not answer" in found[0].msg


@isolate_apps("packages.integrations.django.tests.shop")
def test_path_when_rule_was_made_before_the_models_were_there_then_a_check_finds_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rules in a models module cannot be checked at decoration; they are at start."""
    source = ModelSource(Product)
    monkeypatch.setattr(apps, "models_ready", False)
    source.check("onwer_id")
    monkeypatch.undo()
    source.watch(["onwer_id"])
    (error,) = run_checks(tags=["tiercel"])
    assert error.id == "tiercel.E005"
    assert "shop.Product" in error.msg
    assert "did you mean 'owner_id'?" in error.msg


# What the setting decides


def test_override_settings_then_functions_follow_it_and_come_back() -> None:
    """A cached function uses the caches of the setting that holds at the moment."""

    @cache_result(name="follows")
    def function() -> object:
        return object()

    before = function()
    with override_settings(TIERCEL={"CACHES": {"default": "memory://?memory=7"}}):
        inside = function()
        assert inside is not before
        assert function() is inside
        assert "memory=7" in repr(tiercel.get_cache())
    assert function() is not inside


def test_cache_that_cannot_be_made_then_whoever_asks_for_it_gets_the_error() -> None:
    """A wrong default cache is not silently another one."""
    wrong = override_settings(TIERCEL={"CACHES": {"default": "redsi://h"}})
    with wrong, pytest.raises(ConfigurationError, match="redsi"):
        tiercel.get_cache()
    tiercel.get_cache()


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        ("django.core.cache.backends.locmem.LocMemCache", None),
        ("django.core.cache.backends.dummy.DummyCache", None),
        ("tiercel_django.cache.TiercelCache", None),
        ("django.core.cache.backends.redis.RedisCache", "django://default"),
    ],
)
def test_default_cache_when_the_setting_names_none_then_that_of_django_if_it_is_shared(
    backend: str, url: str | None
) -> None:
    """A cache of this process alone would be a detour, and one that is Tiercel's a circle."""
    with override_settings(CACHES={"default": {"BACKEND": backend, "LOCATION": ""}}):
        assert DjangoIntegration().default_url() == url


def test_dispatcher_settings_then_options_without_the_flag_of_errors() -> None:
    """Names may be written in capitals; `RAISE_EXCEPTION` is nothing that a dispatcher knows."""
    given = {
        "DEFAULT_DISPATCHER": "threadpool",
        "DISPATCHER_SETTINGS": {
            "threadpool": {"MAX_WORKERS": 2, "RAISE_EXCEPTION": False},
            "celery": {"queue": "drops"},
        },
        "DISPATCHER_RAISE_EXCEPTION": True,
    }
    integration = DjangoIntegration()
    with override_settings(TIERCEL=given):
        assert integration.default_dispatcher() == "threadpool"
        assert integration.dispatcher_options("threadpool") == {"max_workers": 2}
        assert integration.dispatcher_options("celery") == {"queue": "drops"}
        assert integration.raises("threadpool") is False
        assert integration.raises("celery") is True
    assert integration.raises("celery") is None


class Long(KeyConstructor):
    text = ArgsKeyField("text")


def _key(text: str) -> str:
    @cache_result(key_constructor=Long, name="long")
    def function(text: str) -> str:
        return text

    function(text)
    return str(function.get_cache_key(text))


def test_key_settings_then_keys_are_built_like_that() -> None:
    """Length and algorithm hold for every function that does not choose itself."""
    plain = _key("x" * 30)
    with override_settings(TIERCEL={"MAX_KEY_SUFFIX_LENGTH": 20, "HASH_SUFFIX_ON_OVERFLOW": True}):
        blake = _key("x" * 30)
    with override_settings(
        TIERCEL={
            "MAX_KEY_SUFFIX_LENGTH": 20,
            "HASH_SUFFIX_ON_OVERFLOW": True,
            "KEY_HASH_ALGORITHM": "sha256",
        }
    ):
        sha = _key("x" * 30)
    assert "x" * 30 in plain
    assert "x" * 30 not in blake + sha
    assert len({plain, blake, sha}) == 3
    assert _key("x" * 30) == plain


# Finding functions


SHELF = "packages.integrations.django.tests.shelf"


def test_caches_module_of_an_application_then_imported_when_django_starts() -> None:
    """`caches.py` needs no import of its own, wherever its application is installed."""
    with modify_settings(INSTALLED_APPS={"append": SHELF}):
        assert [each.name for each in cached_functions("shelf.")] == ["shelf.found"]


def test_caches_module_when_it_fails_then_the_error_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error while importing is not swallowed: rules would vanish silently."""
    monkeypatch.setenv("SHELF_IS_BROKEN", "1")
    monkeypatch.delitem(sys.modules, f"{SHELF}.caches", raising=False)
    installed = modify_settings(INSTALLED_APPS={"append": SHELF})
    with pytest.raises(ImportError, match="on purpose"), installed:
        pass
    with override_settings(TIERCEL={"AUTODISCOVER": False}), installed:
        pass
