"""Tasks of Tiercel on django-q2.

plugin.py   the entry point     dispatcher.py  what sends tasks, its options, and schedules
tasks.py    what workers run, and how often
broker.py   putting an order into the queue, now or later
order.py    the one text that a task of django-q2 holds
"""
