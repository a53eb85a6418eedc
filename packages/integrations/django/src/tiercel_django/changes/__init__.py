"""What is written to models, seen as it happens.

patches.py  where writes are seen      watched.py  which models matter
saves.py  updates.py  inserts.py  deletes.py       each way of writing
links.py    relations of many to many  guard.py    locks between reading and writing
observe.py  from rows to work
"""
