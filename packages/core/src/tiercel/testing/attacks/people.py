"""Pages for one user, and what leads others to them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from tiercel.contracts.web import WebRequest
from tiercel.testing.attacks.row import Answering, Attack, always, ask, gets, in_turn
from tiercel.testing.pages import Answer, Reply, text

ANN: Any = {"Cookie": "user=ann"}
BOB: Any = {"Cookie": "user=bob"}

PAUSE = 0.05
"""Seconds that a page takes which several ask for at once."""


def _visitor(request: WebRequest) -> str:
    return request.cookies.get("user", "nobody")


def _greeting(*headers: tuple[str, str], **more: Any) -> Answering:
    """A page for whoever the cookie names."""

    def answer(request: WebRequest, body: bytes) -> Answer:
        return text(f"hello {_visitor(request)}", *headers, **more)

    return answer


def _authorized(request: WebRequest, body: bytes) -> Answer:
    return text(f"secrets of {request.header('authorization') or 'nobody'}")


def _with_cookie(request: WebRequest, body: bytes) -> Answer:
    return text("welcome", ("Set-Cookie", f"session={_visitor(request)}; HttpOnly"))


def _translated(request: WebRequest, body: bytes) -> Answer:
    return text(f"in {request.header('accept-language')}", ("Vary", "Accept-Language"))


def _encoded(request: WebRequest, body: bytes) -> Answer:
    if "gzip" in (request.header("accept-encoding") or ""):
        return text("\x1f\x8b...", ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))
    return text("plain", ("Vary", "accept-encoding"))


def _negotiated(request: WebRequest, body: bytes) -> Answer:
    kind = request.header("accept") or "text/html"
    return Answer(kind.encode(), headers=(("Content-Type", kind), ("Vary", "Accept")))


def _for_two_reasons(request: WebRequest, body: bytes) -> Answer:
    said = f"{request.header('accept')} {request.header('x-flavour')}"
    return text(said, ("Vary", "Accept"), ("Vary", "X-Flavour"))


def _by_suffix(request: WebRequest) -> Hashable:
    """As content delivery networks do: what looks like a file is the same for everybody."""
    if request.path.endswith((".css", ".js", ".png")):
        return request.path
    return object()


def _gets_cookie(replies: Sequence[Reply]) -> bool:
    return "session=ann" in (replies[-1].header("set-cookie") or "")


def _both_ann(replies: Sequence[Reply]) -> bool:
    return len({reply.body for reply in replies}) < len(replies)


def _user_mix_up(name: str, *headers: tuple[str, str], **more: Any) -> Attack:
    return Attack(name, always(_greeting(*headers, **more)), [ask(**ANN), ask(**BOB)])


def _deception(suffix: str) -> Attack:
    return Attack(
        f"a private page is kept as {suffix}",
        always(_greeting(session="read")),
        [ask(f"/account/{suffix}", **ANN), ask(f"/account/{suffix}")],
        naive=_by_suffix,
        route="/account/{rest:path}",
    )


ROWS = (
    _user_mix_up("a page that reads the session is shown to others", session="read"),
    _user_mix_up("a page that writes the session is shown to others", session="write"),
    _user_mix_up("private is ignored", ("Cache-Control", "private")),
    _user_mix_up("PRIVATE is ignored", ("Cache-Control", "max-age=60, PRIVATE")),
    _user_mix_up("private with fields is ignored", ("Cache-Control", 'private="x-user"')),
    _user_mix_up("no-store is ignored", ("Cache-Control", "no-store")),
    _user_mix_up("no-cache is ignored", ("Cache-Control", "no-cache")),
    _user_mix_up(
        "a second Cache-Control is ignored",
        ("Cache-Control", "max-age=60"),
        ("Cache-Control", "private"),
    ),
    _user_mix_up("Vary: Cookie is ignored", ("Vary", "Cookie")),
    _user_mix_up("Vary: * is ignored", ("Vary", "*")),
    Attack(
        "credentials open the page for everybody",
        always(_authorized),
        [ask(Authorization="Basic YW5u"), ask()],
    ),
    Attack(
        "who has credentials gets the page of who has none",
        always(_authorized),
        [ask(), ask(Authorization="Basic YW5u")],
    ),
    Attack(
        "credentials of one open the page of another",
        always(_authorized),
        [ask(Authorization="Bearer ann"), ask(Authorization="Bearer bob")],
    ),
    Attack(
        "a cookie is set for everybody",
        always(_with_cookie),
        [ask(**ANN), ask(**BOB)],
        _gets_cookie,
    ),
    Attack(
        "a cookie of the first visit is set again and again",
        in_turn(text("hello", ("Set-Cookie", "session=ann")), text("hello")),
        gets("/page", "/page"),
        _gets_cookie,
    ),
    Attack(
        "everybody reads the language of the first",
        always(_translated),
        [ask(Accept_Language="de"), ask(Accept_Language="en")],
    ),
    Attack(
        "everybody gets the encoding of the first",
        always(_encoded),
        [ask(Accept_Encoding="gzip"), ask()],
        lambda replies: replies[-1].header("content-encoding") is not None,
    ),
    Attack(
        "everybody gets the media type of the first",
        always(_negotiated),
        [ask(Accept="application/json"), ask(Accept="text/html")],
    ),
    Attack(
        "of two Vary headers one counts",
        always(_for_two_reasons),
        [ask(Accept="a", X_Flavour="mint"), ask(Accept="a", X_Flavour="salt")],
        naive=lambda request: (request.path, request.header("accept")),
    ),
    Attack(
        "users of one namespace share what is private",
        always(_greeting(("Cache-Control", "private"))),
        [ask(**ANN), ask(**BOB)],
        naive=lambda request: ("acme", request.path),
        options={"namespace": "acme"},
    ),
    Attack(
        "who asks at the same moment shares what is private",
        always(_greeting(("Cache-Control", "private"), pause=PAUSE)),
        [ask(**ANN), ask(**BOB), ask(Cookie="user=eve"), ask(Cookie="user=dan")],
        _both_ann,
        together=True,
    ),
    Attack(
        "who asks at the same moment shares a session",
        always(_greeting(session="read", pause=PAUSE)),
        [ask(**ANN), ask(**BOB), ask(Cookie="user=eve"), ask(Cookie="user=dan")],
        _both_ann,
        together=True,
    ),
    *map(_deception, ("x.css", "y.js", "a/b/logo.png")),
)
