"""What tests need: simulated parts, and a conformance kit for each kind of plugin.

SimulatedBackend       the reference backend, with faults to order     VirtualClock
DictBackend            what a user might bring: get, set, delete
BackendConformance     subclass it to test a backend (extra `tiercel[testing]`)
DispatcherConformance  subclass it to test a dispatcher; Promise, what dispatchers differ in
IntegrationConformance subclass it to test a web framework; pages, clients and attacks are in
                       modules of these names
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from tiercel.testing.clock import VirtualClock
from tiercel.testing.dict_backend import DictBackend
from tiercel.testing.simulated import SimulatedBackend

if TYPE_CHECKING:
    from tiercel.testing.backends import BackendConformance
    from tiercel.testing.conformance.promises import Promise
    from tiercel.testing.dispatchers import DispatcherConformance
    from tiercel.testing.integrations import IntegrationConformance

__all__ = [
    "BackendConformance",
    "DictBackend",
    "DispatcherConformance",
    "IntegrationConformance",
    "Promise",
    "SimulatedBackend",
    "VirtualClock",
]

_KITS = {
    "BackendConformance": "tiercel.testing.backends:BackendConformance",
    "DispatcherConformance": "tiercel.testing.dispatchers:DispatcherConformance",
    "IntegrationConformance": "tiercel.testing.integrations:IntegrationConformance",
    "Promise": "tiercel.testing.conformance.promises:Promise",
}


def __getattr__(name: str) -> Any:
    # The kits need pytest and Hypothesis; the simulated parts are useful without them.
    if name not in _KITS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return resolve_name(_KITS[name])
    except ModuleNotFoundError as missing:
        raise ImportError(
            f"the conformance kit needs {missing.name}: pip install 'tiercel[testing]'"
        ) from missing
