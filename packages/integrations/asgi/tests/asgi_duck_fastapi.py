"""Every example of Duck's page in FastAPI, by endpoints that do not name their request."""

from typing import Annotated, Any

from fastapi import Cookie, FastAPI, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel

from packages.integrations.asgi.tests import asgi_duck as duck
from tiercel import InMemoryCache, cached_view
from tiercel_asgi import TiercelMiddleware

app = FastAPI()
app.add_middleware(duck.Visitors)
app.add_middleware(TiercelMiddleware)


class Page(BaseModel):
    made: str


@app.get("/simple")
@cached_view(targets=["path"])
async def simple() -> Page:
    return Page(**duck.fresh())


@app.get("/attributes")
@cached_view(targets=["path", "method"])
def attributes() -> Page:
    return Page(**duck.fresh())


@app.get("/callable")
@cached_view(targets={duck.static_mtime: {"args": ()}})
async def of_callable() -> Page:
    return Page(**duck.fresh())


@app.get("/request-callable")
@cached_view(targets={"get_user_id": {"args": ()}})
async def of_request_callable() -> dict[str, str]:
    return duck.fresh()


@app.get("/arguments")
@cached_view(targets={"compute_key": {"args": ("{request.method}",)}})
def with_arguments() -> Page:
    return Page(**duck.fresh())


@app.get("/function/{name}")
@cached_view(targets={duck.compute_hash: {"args": ("{request.path}",)}})
def of_function(name: str) -> Page:
    return Page(**duck.fresh())


@app.get("/coroutine/{name}")
@cached_view(targets={duck.acompute_hash: {"args": ("{request.path}",)}})
async def of_coroutine(name: str) -> Page:
    return Page(**duck.fresh())


@app.get("/formatted")
@cached_view(targets={duck.compute_hash: {"args": ("{request.user.id}",)}})
async def formatted() -> Page:
    return Page(**duck.fresh())


@app.get("/dashboard")
@cached_view(targets=["path"], namespace=lambda request: request.cookies.get("session_id"))
async def dashboard() -> Page:
    return Page(**duck.fresh())


@app.post("/leave")
async def leave(session_id: Annotated[str, Cookie()]) -> str:
    await dashboard.adrop_namespace(session_id)
    return "gone"


@app.get("/skipped")
@cached_view(targets=["path"])
async def skipped() -> Page:
    return Page(**duck.fresh())


@app.get("/debugged")
@cached_view(targets=["path"], skip_cache_attr="debug_skip")
async def debugged() -> Page:
    return Page(**duck.fresh())


@app.get("/prerequisite")
@cached_view(targets={duck.prerequisite: {"args": None}})
async def prerequisite() -> Page:
    return Page(**duck.fresh())


@cached_view(targets=["path"], on_cache_result=duck.rehydrate, cache_backend=InMemoryCache(100))
async def component(request: Request) -> dict[str, Any]:
    return {**duck.fresh(), "alive": False}


@app.get("/rehydrated")
async def rehydrated(request: Request) -> bool:
    await component(request)
    return bool((await component(request))["alive"])


class MyView:
    @cached_view(targets=["fullpath", "method"])
    async def run(self) -> Page:
        return Page(**duck.fresh())


app.get("/class")(MyView().run)


@app.get("/files/{staticfile}")
@cached_view(targets={duck.static_mtime: {"args": None}}, buffer=10_000)
def staticfiles(staticfile: str) -> FileResponse:
    return FileResponse(duck.FOLDER / staticfile)


@app.get("/short")
@cached_view(targets=["path"], expiry=0.5)
async def short() -> Page:
    return Page(**duck.fresh())
