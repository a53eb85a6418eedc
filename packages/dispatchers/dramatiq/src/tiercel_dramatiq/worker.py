"""A module for the command line of a worker: `dramatiq proj.tasks tiercel_dramatiq.worker`.

Name it after the modules that set the broker and decorate functions.
"""

from __future__ import annotations

import logging

from tiercel_dramatiq.actors import install
from tiercel_dramatiq.brokers import known_broker

if known_broker(None) is None:
    logging.getLogger("tiercel.dispatch").error(
        "no Dramatiq broker is set, so no task is served: name tiercel_dramatiq.worker after the "
        "module that calls dramatiq.set_broker()"
    )
else:
    install()
