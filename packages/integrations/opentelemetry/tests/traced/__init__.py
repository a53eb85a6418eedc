"""A shop whose prices are dropped and computed again by workers; it knows nothing of traces.

shop.py      the cache and its function; whoever imports it has said before which broker there is
broker.py    which broker that is, for web processes and workers alike
settings.py  Django's settings, for django-q alone
web.py       a process that reads a price, or reports that it has changed
"""
