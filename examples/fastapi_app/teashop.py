"""A tea shop in FastAPI. In this folder: `uvicorn teashop:app`, with or without `--workers 2`.

`TIERCEL_URL=redis://localhost/0` shares what is cached among the workers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

from tiercel import cache_result, cached_view, get_cache
from tiercel_asgi import TiercelMiddleware


class Tea(BaseModel):
    """One row of the menu."""

    name: str
    price: float


TEAS = {"assam": 3.5, "ceylon": 4.0}
CUSTOMERS = {"key-of-ann": "ann", "key-of-bob": "bob"}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The shop opens; the middleware opens and closes the caches around this."""
    TEAS.update(assam=3.5, ceylon=4.0)
    yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(TiercelMiddleware)


@cache_result(ttl=60, stale=600)
async def exchange_rate(currency: str) -> float:
    """Something slow that many pages need."""
    await asyncio.sleep(0.01)
    return {"eur": 1.0, "gbp": 0.875}[currency]


@app.get("/teas")
@cached_view(["path"], expiry=300, tags=["teas"])
async def menu(currency: str = "eur") -> list[Tea]:
    """The menu: kept for each currency, and dropped when a price changes."""
    rate = await exchange_rate(currency)
    return [Tea(name=name, price=price * rate) for name, price in sorted(TEAS.items())]


@app.put("/teas/{name}")
async def set_price(name: str, price: float) -> Tea:
    """Change a price; whoever asks for the menu from now on sees it."""
    TEAS[name] = price
    await get_cache().adrop_tags("teas")
    return Tea(name=name, price=price)


def customer(x_key: Annotated[str, Header()]) -> str:
    """Who asks; this runs before hits, too."""
    if x_key not in CUSTOMERS:
        raise HTTPException(401)
    return CUSTOMERS[x_key]


@app.get("/orders")
@cached_view(["path"], expiry=30)
async def orders(customer: Annotated[str, Depends(customer)]) -> dict[str, list[str]]:
    """A page for one customer: the argument is part of the key, and the header of `Vary`."""
    return {customer: ["assam"]}
