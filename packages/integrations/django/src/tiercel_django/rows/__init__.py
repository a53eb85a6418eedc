"""Rows of models: dotted paths on them, and what the database says of them.

paths.py    a path taken apart     row.py     one row at one moment
reading.py  rows from the database single.py  one row, fast
trust.py    values in memory that need no reading
"""
