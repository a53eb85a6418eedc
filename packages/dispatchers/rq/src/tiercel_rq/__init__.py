"""Tasks of Tiercel on RQ: plain queues, and those of django-rq.

plugin.py       the entry point             dispatcher.py  what sends tasks, and its options
connections.py  clients that give up soon   tasks.py       what workers run
worker.py       a worker that soon repeats what a killed one was at
periodic.py     tasks again and again, on RQ's scheduler
"""
