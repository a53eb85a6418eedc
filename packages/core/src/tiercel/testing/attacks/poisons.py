"""What one client can do to the page of another: headers, hosts and queries that nobody keyed."""

from __future__ import annotations

from tiercel.contracts.web import WebRequest
from tiercel.testing.attacks.row import Answering, Attack, always, ask, gets
from tiercel.testing.pages import Answer, text

EVIL = "evil.example"


def _reflecting(header: str) -> Answering:
    """A page that believes a header, as behind a proxy."""

    def answer(request: WebRequest, body: bytes) -> Answer:
        return text(f"<script src=//{request.header(header) or request.host}/a.js>")

    return answer


def _overriding(request: WebRequest, body: bytes) -> Answer:
    method = request.header("x-http-method-override") or request.method
    return text(f"method {method}")


def _routing(request: WebRequest, body: bytes) -> Answer:
    return text(f"page {request.header('x-original-url') or request.path}")


def _rewriting(request: WebRequest, body: bytes) -> Answer:
    return text(f"page {request.header('x-rewrite-url') or request.path}")


def _redirecting(request: WebRequest, body: bytes) -> Answer:
    if request.header("x-forwarded-proto") == "http":
        return text("", ("Location", f"https://{request.host}/page"), status=301)
    return text("the page")


def _scheming(request: WebRequest, body: bytes) -> Answer:
    return text(f"{request.header('x-forwarded-scheme') or request.scheme}://")


def _linking(request: WebRequest, body: bytes) -> Answer:
    return text(f"http://{request.host}/reset?token=1")


def _echoing(request: WebRequest, body: bytes) -> Answer:
    return text(f"you came from {request.query_string}")


def _calling_back(request: WebRequest, body: bytes) -> Answer:
    return text(f"{(request.query.get('callback') or ['show'])[0]}(1)")


def _reading_body(request: WebRequest, body: bytes) -> Answer:
    return text(f"results for {body.decode() or 'all'}")


def _tracing(request: WebRequest, body: bytes) -> Answer:
    origin = request.header("origin") or "none"
    return text("data", ("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))


ROWS = (
    Attack(
        "X-Forwarded-Host poisons links",
        always(_reflecting("x-forwarded-host")),
        [ask(X_Forwarded_Host=EVIL), ask()],
    ),
    Attack(
        "X-Host poisons links",
        always(_reflecting("x-host")),
        [ask(X_Host=EVIL), ask()],
    ),
    Attack(
        "X-Forwarded-Server poisons links",
        always(_reflecting("x-forwarded-server")),
        [ask(X_Forwarded_Server=EVIL), ask()],
    ),
    Attack(
        "X-Forwarded-Prefix poisons links",
        always(_reflecting("x-forwarded-prefix")),
        [ask(X_Forwarded_Prefix=f"//{EVIL}"), ask()],
    ),
    Attack(
        "Forwarded poisons links",
        always(_reflecting("forwarded")),
        [ask(Forwarded=f"host={EVIL}"), ask()],
    ),
    Attack(
        "X-HTTP-Method-Override answers for GET",
        always(_overriding),
        [ask(X_HTTP_Method_Override="DELETE"), ask()],
    ),
    Attack(
        "X-Original-URL puts one page in place of another",
        always(_routing),
        [ask(X_Original_URL="/admin"), ask()],
    ),
    Attack(
        "X-Rewrite-URL puts one page in place of another",
        always(_rewriting),
        [ask(X_Rewrite_URL="/admin"), ask()],
    ),
    Attack(
        "X-Forwarded-Proto makes a redirect without end",
        always(_redirecting),
        [ask(X_Forwarded_Proto="http"), ask()],
        lambda replies: replies[-1].status == 301,
    ),
    Attack(
        "X-Forwarded-Scheme downgrades links",
        always(_scheming),
        [ask(X_Forwarded_Scheme="gopher"), ask()],
    ),
    Attack("Host poisons links", always(_linking), [ask(Host=EVIL), ask(Host="example.com")]),
    Attack(
        "the port of Host poisons links",
        always(_linking),
        [ask(Host="example.com:1337"), ask(Host="example.com")],
    ),
    Attack(
        "a query parameter that nobody keyed is reflected",
        always(_echoing),
        gets("/page?utm_content=<script>", "/page?utm_content=mail"),
    ),
    Attack(
        "a callback of another is called",
        always(_calling_back),
        gets("/page?callback=alert", "/page?callback=show"),
    ),
    Attack(
        "the body of a GET poisons",
        always(_reading_body),
        [ask(body=b"nothing at all"), ask()],
    ),
    Attack(
        "the permission of one origin is given to another",
        always(_tracing),
        [ask(Origin="https://evil.example"), ask(Origin="https://app.example")],
        lambda replies: replies[-1].header("access-control-allow-origin") != "https://app.example",
    ),
)
