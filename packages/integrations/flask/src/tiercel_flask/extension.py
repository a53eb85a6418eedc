"""`Tiercel`, the extension of Flask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from flask import Flask

from tiercel import Cache, ConfigurationError, cached_view, get_cache
from tiercel.spi import bind_anew
from tiercel_flask import caching, memoizing
from tiercel_flask.calling import Decorating
from tiercel_flask.commands import add_commands
from tiercel_flask.config import read_config
from tiercel_flask.decorated import Decorates
from tiercel_flask.scopes import open_scopes
from tiercel_flask.state import EXTENSION, current_state, register
from tiercel_flask.templates import TiercelExtension, drop_fragments
from tiercel_flask.values import Timeout, ValueMethods


class Tiercel(ValueMethods):
    """Caches for applications of Flask: views, functions, parts of templates, values.

    It may serve several applications, each of which has caches of its own; functions use those of
    the running application. `get`, `set` and the like work on its default cache.

    Example:
        tiercel = Tiercel()

        @app.get("/news")
        @tiercel.cached_view(ttl=60)
        def news(): ...

        tiercel.init_app(app)
    """

    def __init__(
        self, app: Flask | None = None, *, config: Mapping[str, Any] | None = None
    ) -> None:
        """Remember the config, and serve an application if there is one already.

        Args:
            app: The application.
            config: Wins over the config of every application that is served.

        Raises:
            ConfigurationError: As of `init_app`.
        """
        self._config = dict(config or {})
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, config: Mapping[str, Any] | None = None) -> None:
        """Serve an application: make its caches, open a scope for each of its requests.

        Args:
            app: The application.
            config: Wins over its own config.

        Raises:
            ConfigurationError: The config is wrong, or the application is served already.
            PluginError: A backend is not installed.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError(
                f"application {app.name!r} has a Tiercel already: call init_app() once, and give "
                "further caches in TIERCEL_CACHES"
            )
        with app.app_context():  # so that no other application's keys are taken for its own
            state = read_config({**app.config, **self._config, **(config or {})})
        open_scopes(app)
        app.jinja_env.add_extension(TiercelExtension)
        add_commands(app)
        bind_anew(apart=register(app, state))
        with app.app_context():
            for cache in state.caches.values():
                cache.in_use()

    @property
    def cache(self) -> Cache:
        """The default cache of the running application."""
        return get_cache()

    @property
    def caches(self) -> Mapping[str, Cache]:
        """The caches of the running application by name.

        Raises:
            ConfigurationError: None is running, or it does without Tiercel.
        """
        return current_state().caches

    cached_view = staticmethod(cached_view)
    """Caches the responses of a view, safely for all users: `tiercel.cached_view`."""

    def cached(
        self,
        timeout: Timeout | Callable[[Any], Timeout] = None,
        key_prefix: str | Callable[[], Any] = "view/%s",
        unless: Callable[..., Any] | None = None,
        forced_update: Callable[..., Any] | None = None,
        is_stale: Callable[..., Any] | None = None,
        response_filter: Callable[[Any], Any] | None = None,
        query_string: bool | None = None,
        cache_none: bool = False,
        make_cache_key: Callable[..., Any] | None = None,
        source_check: bool = False,
        **options: Any,
    ) -> Decorates:
        """Cache a view, or a function with one result, as Flask-Caching's `cached` does.

        Responses are kept by the rules of `cached_view`: see there what never is. With a
        `key_prefix` without `%s`, or a callable for the key, it decorates plain functions too.

        Args:
            timeout: Seconds or a timedelta; a callable gets the result; None: the default one.
            key_prefix: With `%s`, which stands for the request's URL: one entry for each path; a
                text without, or what a callable returns, is the key.
            unless: Called without arguments, or with the function and the call's arguments; where
                true, the cache is neither read nor written.
            forced_update: Called with or without the call's arguments; where true, the result is
                computed anew and kept.
            is_stale: Called with a value from the cache; where true, it is computed anew.
            response_filter: Called with a result; where false, that is not kept.
            query_string: Whether the query counts; None: it does where the path does.
            cache_none: Whether a result of None is kept.
            make_cache_key: Called as the function is, returns the key instead of all of this. What
                the URL gave the view is part of the key anyway.
            source_check: Whether another source of the function makes entries void.
            **options: Those of `tiercel.cached_view`, such as `namespace`, `tags` or `stale`.

        Raises:
            ConfigurationError: An option is unknown or wrong, or does not fit the function.
        """
        return caching.cached(
            Decorating(
                self, timeout, unless, forced_update, is_stale, response_filter, cache_none, options
            ),
            key_prefix,
            query_string,
            make_cache_key,
            source_check,
        )

    def memoize(
        self,
        timeout: Timeout | Callable[[Any], Timeout] = None,
        make_name: Callable[[str], str] | None = None,
        unless: Callable[..., Any] | None = None,
        forced_update: Callable[..., Any] | None = None,
        is_stale: Callable[..., Any] | None = None,
        response_filter: Callable[[Any], Any] | None = None,
        cache_none: bool = False,
        source_check: bool = False,
        args_to_ignore: Collection[str] = (),
        **options: Any,
    ) -> Decorates:
        """Cache the results of a function or method by its arguments.

        The object of a method says by `__cache_key__()` or `__caching_id__()` which one it is.

        Args:
            timeout: As of `cached`.
            make_name: Called with the name of the function, returns the one to use.
            unless: As of `cached`.
            forced_update: As of `cached`.
            is_stale: As of `cached`.
            response_filter: As of `cached`.
            cache_none: As of `cached`.
            source_check: As of `cached`.
            args_to_ignore: Names of arguments that do not count, such as "self".
            **options: Those of `Cache.cached`, such as `tags`, `stale` or `invalidates_on`.

        Raises:
            ConfigurationError: An option is unknown or wrong, or does not fit the function.
        """
        return memoizing.memoize(
            Decorating(
                self, timeout, unless, forced_update, is_stale, response_filter, cache_none, options
            ),
            make_name,
            source_check,
            args_to_ignore,
        )

    def delete_memoized(self, function: Any, *args: Any, **kwargs: Any) -> bool:
        """Drop entries of a memoized function.

        Args:
            function: The function; a method of an object means the entries of that object, of a
                class those of all.
            *args: With arguments, only the entry of that call is dropped.
            **kwargs: The same.

        Returns:
            Whether there was such an entry, as far as is known; True without arguments.

        Raises:
            TypeError: The function is not memoized.
        """
        return memoizing.drop(function, *args, **kwargs)

    def drop_fragments(self, name: str, *vary: Any, cache: str | None = None) -> None:
        """Drop what `{% tiercel %}` keeps under a name.

        Args:
            name: The name.
            *vary: With values, only the part that was made for these; else all of them.
            cache: The cache that the tag names.
        """
        drop_fragments(name, vary, cache)

    @property
    def _values(self) -> Cache:
        return self.cache

    def _default_life(self) -> float | None:
        return current_state().default_timeout
