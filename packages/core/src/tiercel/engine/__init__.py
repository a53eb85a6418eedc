"""The decisions, written once as generators, and the two drivers that carry them out.

read.py     how one call is served          fill.py     who computes, and what is stored
drop.py     how entries are dropped         manual.py   values set by hand
effects.py  what a generator may ask for    sync.py, aio.py   who does it
state.py    what one cache and one function keep in a process
flights.py  one computation in a process    channel.py  how memory follows the shared tier
outage.py   what happens without a server   keyvalue.py stores that only get and set
keeper.py   what is done in the background  reports.py  what of it gets into the log
"""
