"""Pages of the conformance kit as views of Flask."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, ClassVar

from flask import Flask, Response, request, session
from flask.views import View

from tiercel.testing.pages import METHODS, Answer, Page
from tiercel_flask.web import FlaskFramework

WEB = FlaskFramework()


def add_page(app: Flask, page: Page, kind: str) -> None:
    """Serve a page by a view of a kind: "function", "coroutine" or "class"."""
    if kind == "class":
        view = _class_of(page)
    else:
        view = page.decorate(_coroutine_of(page) if kind == "coroutine" else _view_of(page))
    rule = re.sub(r"{(\w+):path}", r"<path:\1>", page.route)
    app.add_url_rule(re.sub(r"{(\w+)}", r"<\1>", rule), page.name, view, methods=METHODS)


def _view_of(page: Page) -> Callable[..., Any]:
    def page_view(**url: Any) -> Response:
        answer = _answer(page)
        time.sleep(answer.pause)
        return _response(answer)

    return page_view


def _coroutine_of(page: Page) -> Callable[..., Any]:
    async def page_view(**url: Any) -> Response:
        answer = _answer(page)
        await asyncio.sleep(answer.pause)
        return _response(answer)

    return page_view


def _class_of(page: Page) -> Callable[..., Any]:
    view = _view_of(page)

    class PageView(View):
        decorators: ClassVar[list[Any]] = [page.decorate]

        def dispatch_request(self, **url: Any) -> Any:
            return view(**url)

    return PageView.as_view(page.name)


def _answer(page: Page) -> Answer:
    found = WEB.request((), {})
    assert found is not None
    answer = page.answer(found, request.get_data())
    if answer.session == "read":
        session.get("visitor")
    elif answer.session == "write":
        session["visitor"] = "somebody"
    return answer


def _response(answer: Answer) -> Response:
    body: Any = answer.body if answer.chunks is None else iter(answer.chunks)
    response = Response(body, answer.status)
    response.headers.clear()
    response.headers.extend(answer.headers)
    return response
