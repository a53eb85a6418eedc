"""What tests need: simulated parts, and a conformance kit for each kind of plugin.

SimulatedBackend   the reference backend, with faults to order     VirtualClock
DictBackend        what a user might bring: get, set, delete
BackendConformance subclass it to test a backend (extra `tiercel[testing]`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiercel.testing.clock import VirtualClock
from tiercel.testing.dict_backend import DictBackend
from tiercel.testing.simulated import SimulatedBackend

if TYPE_CHECKING:
    from tiercel.testing.backends import BackendConformance

__all__ = ["BackendConformance", "DictBackend", "SimulatedBackend", "VirtualClock"]


def __getattr__(name: str) -> Any:
    # The kit needs pytest and Hypothesis; the simulated parts are useful without them.
    if name != "BackendConformance":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from tiercel.testing.backends import BackendConformance
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"the conformance kit needs {missing.name}: pip install 'tiercel[testing]'"
        ) from missing
    return BackendConformance
