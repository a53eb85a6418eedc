"""The module that workers of Dramatiq are started with."""

from __future__ import annotations

import django

django.setup()
