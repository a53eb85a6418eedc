"""Every example of Duck's page in Starlette."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from packages.integrations.asgi.tests import asgi_duck as duck
from tiercel import InMemoryCache, cached_view
from tiercel_asgi import TiercelMiddleware


@cached_view(targets=["path"])
async def simple(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets=["path", "method"])
def attributes(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets={duck.static_mtime: {"args": ()}})
async def of_callable(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets={"get_user_id": {"args": ()}})
async def of_request_callable(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets={"compute_key": {"args": ("{request.method}",)}})
def with_arguments(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets={duck.compute_hash: {"args": ("{request.path}",)}})
def of_function(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets={duck.acompute_hash: {"args": ("{request.path}",)}})
async def of_coroutine(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets={duck.compute_hash: {"args": ("{request.user.id}",)}})
async def formatted(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets=["path"], namespace=lambda request: request.cookies.get("session_id"))
async def dashboard(request: Request) -> Response:
    return JSONResponse(duck.fresh())


async def leave(request: Request) -> Response:
    await dashboard.adrop_namespace(request.cookies.get("session_id"))
    return PlainTextResponse("gone")


@cached_view(targets=["path"])
async def skipped(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets=["path"], skip_cache_attr="debug_skip")
async def debugged(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets={duck.prerequisite: {"args": None}})
async def prerequisite(request: Request) -> Response:
    return JSONResponse(duck.fresh())


@cached_view(targets=["path"], on_cache_result=duck.rehydrate, cache_backend=InMemoryCache(100))
async def component(request: Request) -> dict[str, Any]:
    return {**duck.fresh(), "alive": False}


async def rehydrated(request: Request) -> Response:
    await component(request)
    return JSONResponse((await component(request))["alive"])


class MyView(HTTPEndpoint):
    @cached_view(targets=["fullpath", "method"])
    async def run(self) -> Response:
        return JSONResponse(duck.fresh())

    async def get(self, request: Request) -> Response:
        return await self.run()


@cached_view(targets={duck.static_mtime: {"args": None}}, buffer=10_000)
def staticfiles(request: Request) -> Response:
    return FileResponse(duck.FOLDER / request.path_params["staticfile"])


@cached_view(targets=["path"], expiry=0.5)
async def short(request: Request) -> Response:
    return JSONResponse(duck.fresh())


app = Starlette(
    routes=[
        Route("/simple", simple),
        Route("/attributes", attributes),
        Route("/callable", of_callable),
        Route("/request-callable", of_request_callable),
        Route("/arguments", with_arguments),
        Route("/function/{name}", of_function),
        Route("/coroutine/{name}", of_coroutine),
        Route("/formatted", formatted),
        Route("/dashboard", dashboard),
        Route("/leave", leave, methods=["POST"]),
        Route("/skipped", skipped),
        Route("/debugged", debugged),
        Route("/prerequisite", prerequisite),
        Route("/rehydrated", rehydrated),
        Route("/class", MyView),
        Route("/files/{staticfile}", staticfiles),
        Route("/short", short),
    ],
    middleware=[Middleware(TiercelMiddleware), Middleware(duck.Visitors)],
)
