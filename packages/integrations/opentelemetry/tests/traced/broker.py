"""Which broker there is. Workers of all kinds import this, and the shop with it."""

from __future__ import annotations

import os

DISPATCHER = os.environ["SHOP_DISPATCHER"]
BROKER = os.environ["SHOP_BROKER"]
QUEUE = "prices"

if DISPATCHER == "celery":
    from celery import Celery

    import tiercel_celery
    from packages.dispatchers.celery.tests import brokers as celery_brokers

    celery_brokers.wait_for_brokers(celery_brokers.PATIENCE)
    app = Celery("shop", broker=BROKER)
    app.conf.worker_hijack_root_logger = False
    tiercel_celery.install(app, QUEUE)

if DISPATCHER == "dramatiq":
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    import tiercel_dramatiq
    from packages.dispatchers.dramatiq.tests import brokers as dramatiq_brokers

    dramatiq_brokers.wait_for_brokers(dramatiq_brokers.PATIENCE)
    dramatiq.set_broker(RedisBroker(url=BROKER))
    tiercel_dramatiq.install(dramatiq.get_broker(), QUEUE)

if DISPATCHER == "django_q":
    import django

    django.setup()

CONFIG = {"queue": QUEUE, **({"connection": BROKER} if DISPATCHER == "rq" else {})}

import packages.integrations.opentelemetry.tests.traced.shop  # noqa: E402, F401
