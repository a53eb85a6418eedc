"""Results of endpoints, made responses of as FastAPI does it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Coroutine, Mapping
from functools import cache
from typing import Any, TypeVar

from starlette.responses import Response

from tiercel import ViewCachingWarning
from tiercel_asgi.fastapi.routes import Route
from tiercel_asgi.fastapi.varying import vary_of

T = TypeVar("T")


def render(route: Route, result: Any) -> Response:
    """Make the response that FastAPI would make of what an endpoint returned.

    Raises:
        ResponseValidationError: It does not fit the response model.
    """
    made = result if isinstance(result, Response) else _rendered(route, result)
    varies = ", ".join(vary_of(route.definition.dependant))
    if varies:
        made.headers.add_vary_header(varies)
    return made


def _rendered(route: Route, result: Any) -> Response:
    from fastapi.utils import is_body_allowed_for_status_code

    definition = route.definition
    chosen, default = definition.response_class, False
    if not isinstance(chosen, type):
        chosen, default = chosen.value, True
    as_json = default and definition.response_field is not None and _dumps()
    content = _content(definition, result, {"dump_json": True} if as_json else {})
    status = _status(definition, route.injected)
    if as_json:
        made = Response(content, media_type="application/json", **status)
    else:
        made = chosen(content, **status)
    if not is_body_allowed_for_status_code(made.status_code):
        made.body = b""
    if route.injected is not None:
        made.raw_headers.extend(route.injected.raw_headers)
    elif any(_sets_headers(each) for each in definition.dependant.dependencies):
        _warn_of_lost_headers(definition)
    return made


def _content(definition: Any, result: Any, more: Mapping[str, Any]) -> Any:
    from fastapi.routing import serialize_response

    return _finished(
        serialize_response(
            field=definition.response_field,
            response_content=result,
            include=definition.response_model_include,
            exclude=definition.response_model_exclude,
            by_alias=definition.response_model_by_alias,
            exclude_unset=definition.response_model_exclude_unset,
            exclude_defaults=definition.response_model_exclude_defaults,
            exclude_none=definition.response_model_exclude_none,
            is_coroutine=True,  # else it would go to a thread; this is one, where that matters
            **more,
        )
    )


@cache
def _dumps() -> bool:
    """Tell whether this FastAPI writes models as JSON without a detour."""
    from fastapi.routing import serialize_response

    return "dump_json" in inspect.signature(serialize_response).parameters


def _finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing, in plain functions and coroutines alike."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    coroutine.close()
    raise RuntimeError("FastAPI waited for something while it serialized a result")


def _status(definition: Any, injected: Response | None) -> dict[str, Any]:
    code = getattr(injected, "status_code", None) or definition.status_code
    return {"status_code": code} if code else {}


def _sets_headers(dependant: Any) -> bool:
    own = dependant.response_param_name is not None
    return own or any(map(_sets_headers, dependant.dependencies))


def _warn_of_lost_headers(definition: Any) -> None:
    warnings.warn(
        f"{definition.path}: a dependency of this cached endpoint sets headers or a status on a "
        "Response, which FastAPI ignores where an endpoint returns a response itself, as cached "
        "ones do: add a parameter `response: Response` to the endpoint, too",
        ViewCachingWarning,
        stacklevel=2,
    )
