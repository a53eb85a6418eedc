"""Dramatiq workers drop, refresh and warm the entries of Tiercel.

plugin.py   the entry point           dispatcher.py  sends tasks
brokers.py  which broker, and is it fit              sender.py  the thread that talks to it
actors.py   what a worker runs        worker.py      a module for the worker's command line
"""

from __future__ import annotations

from tiercel_dramatiq.actors import install

__all__ = ["install"]
