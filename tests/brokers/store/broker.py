"""The broker of Celery or Dramatiq; the others have theirs in Django's settings."""

from __future__ import annotations

import os

DISPATCHER = os.environ["STORE_DISPATCHER"]
BROKER = os.environ["STORE_BROKER"]
QUEUE = os.environ["STORE_QUEUE"]

if DISPATCHER == "celery":
    from celery import Celery

    import tiercel_celery
    from packages.dispatchers.celery.tests import brokers as celery_brokers

    celery_brokers.wait_for_brokers(celery_brokers.PATIENCE)
    app = Celery("store", broker=BROKER)
    tiercel_celery.install(app, QUEUE)

if DISPATCHER == "dramatiq":
    import dramatiq
    from dramatiq.brokers.rabbitmq import RabbitmqBroker
    from dramatiq.brokers.redis import RedisBroker

    import tiercel_dramatiq
    from packages.dispatchers.dramatiq.tests import brokers as dramatiq_brokers

    dramatiq_brokers.wait_for_brokers(dramatiq_brokers.PATIENCE)
    if BROKER.startswith("redis"):
        dramatiq.set_broker(RedisBroker(url=BROKER))
    else:
        dramatiq.set_broker(RabbitmqBroker(url=BROKER, confirm_delivery=True))
    tiercel_dramatiq.install(dramatiq.get_broker(), QUEUE)
