"""What the shop sells."""

from __future__ import annotations

from django.db import models


class Book(models.Model):
    """A book and what it costs."""

    title: models.CharField[str, str] = models.CharField(max_length=200)
    price: models.PositiveIntegerField[int, int] = models.PositiveIntegerField()

    def __str__(self) -> str:
        return str(self.title)
