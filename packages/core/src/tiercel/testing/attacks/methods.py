"""Methods that change things, answers that are no pages, and halves of bodies."""

from __future__ import annotations

from collections.abc import Sequence

from tiercel.contracts.web import WebRequest
from tiercel.testing.attacks.row import Answering, Attack, always, ask, gets, in_turn
from tiercel.testing.pages import Answer, Reply, text


def _naming(request: WebRequest, body: bytes) -> Answer:
    return text(f"done: {request.method}")


def _empty_for_head(request: WebRequest, body: bytes) -> Answer:
    return text("" if request.method == "HEAD" else "the page")


def _counting() -> Answering:
    """A shop that takes an order with each POST."""
    orders: list[str] = []

    def answer(request: WebRequest, body: bytes) -> Answer:
        if request.method == "POST":
            orders.append(body.decode())
        return text(f"{len(orders)} orders")

    return answer


def _ranging(request: WebRequest, body: bytes) -> Answer:
    if request.header("range"):
        return text("th", ("Content-Range", "bytes 0-1/8"), status=206)
    return text("the page")


def _conditional(request: WebRequest, body: bytes) -> Answer:
    if request.header("if-none-match"):
        return text("", ("ETag", '"1"'), status=304)
    return text("the page", ("ETag", '"1"'))


def _guarded(status: int) -> Answering:
    def answer(request: WebRequest, body: bytes) -> Answer:
        if request.cookies.get("key") != "right":
            return text("keep out", status=status)
        return text("come in", ("Cache-Control", "private"))

    return answer


def _has_failed(replies: Sequence[Reply]) -> bool:
    return replies[-1].status != 200


def _is_empty(replies: Sequence[Reply]) -> bool:
    return replies[-1].body != b"the page"


def _failing_once(status: int) -> Attack:
    return Attack(
        f"a {status} of one moment is served on",
        in_turn(text("trouble", status=status), text("the page")),
        gets("/page", "/page"),
        _has_failed,
    )


ROWS = (
    Attack(
        "HEAD empties GET",
        always(_empty_for_head),
        [ask(method="HEAD"), ask()],
        _is_empty,
    ),
    Attack("POST is answered with a page", always(_naming), [ask(), ask(method="POST")]),
    Attack("GET is answered with what a POST did", always(_naming), [ask(method="POST"), ask()]),
    Attack("DELETE deletes nothing", always(_naming), [ask(), ask(method="DELETE")]),
    Attack("PUT puts nothing", always(_naming), [ask(), ask(method="PUT")]),
    Attack("OPTIONS gets a page", always(_naming), [ask(), ask(method="OPTIONS")]),
    Attack(
        "the second order is not taken",
        _counting,
        [ask(method="POST", body=b"tea"), ask(method="POST", body=b"milk")],
    ),
    Attack(
        "a part is taken for the whole",
        always(_ranging),
        [ask(Range="bytes=0-1"), ask()],
        _is_empty,
    ),
    Attack(
        "a 304 is taken for a page",
        always(_conditional),
        [ask(If_None_Match='"1"'), ask()],
        _is_empty,
    ),
    Attack(
        "a 401 keeps everybody out",
        always(_guarded(401)),
        [ask(), ask(Cookie="key=right")],
        _has_failed,
    ),
    Attack(
        "a 403 keeps everybody out",
        always(_guarded(403)),
        [ask(), ask(Cookie="key=right")],
        _has_failed,
    ),
    Attack(
        "what lies behind a 401 is shown to everybody",
        always(_guarded(401)),
        [ask(Cookie="key=right"), ask()],
    ),
    Attack(
        "a redirect to the login is for everybody",
        in_turn(text("", ("Location", "/login"), status=302), text("the page")),
        gets("/page", "/page"),
        _has_failed,
    ),
    *map(_failing_once, (404, 410, 429, 500, 502, 503)),
)
