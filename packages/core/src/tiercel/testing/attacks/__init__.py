"""What has gone wrong with caches of web pages: attacks, and mistakes that nobody meant.

Each row is shown to succeed against a naive decorator and to fail against `cached_view`, by
`tiercel.testing.IntegrationConformance`, in every framework.

row.py  what a row says
keys.py  requests that must be told apart
poisons.py  what one client can do to another's page
methods.py  methods, statuses and bodies
people.py  what is for one user only
formats.py  texts that reach for more than they should
"""

from tiercel.testing.attacks import keys, methods, people, poisons
from tiercel.testing.attacks.formats import FORMATS, Format
from tiercel.testing.attacks.row import Ask, Attack

ATTACKS: tuple[Attack, ...] = (*poisons.ROWS, *keys.ROWS, *methods.ROWS, *people.ROWS)

__all__ = ["ATTACKS", "FORMATS", "Ask", "Attack", "Format"]
