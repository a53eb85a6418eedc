"""Tasks of Tiercel on huey.

plugin.py      the entry point          dispatcher.py  what sends tasks, and its options
queues.py      huey's queues            worker.py      what `huey_consumer` is started with
"""
