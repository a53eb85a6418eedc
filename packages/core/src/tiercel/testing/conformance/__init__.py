"""What every plugin of a kind must do, by subject.

Backends, put together by `tiercel.testing.backends`:

entries.py  bytes in and out      leases.py   who may fill       drops.py   stamps and tags
overwriting.py  without a lease
channel.py  push and wakes        races.py    fixed and free     machine.py random histories
tier.py     one backend under test, driven from sync or async code

Dispatchers, put together by `tiercel.testing.dispatchers`:

performing.py  once, and where    collapsing.py  who may be left out     queues.py  workers
promises.py  what they differ in  workshop.py    what the tasks do       bench.py   one under test

Web frameworks, put together by `tiercel.testing.integrations`:

vocabulary.py  what is shown of requests     replies.py   what is kept of responses
scopes.py  the scope of a request            attacked.py  the table of attacks
"""
