"""A dispatcher whose broker is never there."""

from __future__ import annotations

from tiercel.spi import SPI_VERSION, Dispatcher, DispatcherSpec, Task, hookimpl


class Refusing(Dispatcher):
    name = "refusing"

    def dispatch(self, task: Task) -> None:
        raise ConnectionError("no broker is here")


class RefusingPlugin:
    """What is registered, before anything uses a cache."""

    @hookimpl
    def tiercel_dispatchers(self) -> list[DispatcherSpec]:
        return [DispatcherSpec("refusing", lambda options: Refusing(), SPI_VERSION)]
