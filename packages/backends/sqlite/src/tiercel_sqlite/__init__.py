"""A shared tier in one SQLite file, for many processes of one machine.

plugin.py       the entry point        location.py     URL and options
backend.py      commands and errors    commands.py     what each command does in SQL
connections.py  who holds a connection stamps.py       stamps and their minting
schema.py       tables of the file     waiting.py      push channel and wakes
bounds.py       eviction               indexes.py      what lists entries
"""
