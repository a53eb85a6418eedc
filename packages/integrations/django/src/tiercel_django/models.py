"""The outbox: what is to be dropped, written in the transaction that changed the rows."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.utils import timezone


class OutboxEntry(models.Model):
    """A piece of work that is not known to be done.

    Attributes:
        work: The work, as JSON.
        created: When the change happened.
        due: When somebody other than whoever wrote it may do it.
        attempts: How often that has failed.
        error: Why it has failed last.
    """

    work: models.TextField[str, str] = models.TextField()
    created: models.DateTimeField[datetime, datetime] = models.DateTimeField(default=timezone.now)
    due: models.DateTimeField[datetime, datetime] = models.DateTimeField(db_index=True)
    attempts: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(default=0)
    error: models.TextField[str, str] = models.TextField(default="", blank=True)

    class Meta:
        """Options of the table."""

        db_table = "tiercel_outbox"
        verbose_name_plural = "outbox entries"

    def __str__(self) -> str:
        return f"outbox entry {self.pk}"
