"""What the store knows of its products."""

from __future__ import annotations

from django.db import models


class Price(models.Model):
    product: models.IntegerField[int, int] = models.IntegerField(primary_key=True)
    amount: models.IntegerField[int, int] = models.IntegerField()


class Stock(models.Model):
    product: models.IntegerField[int, int] = models.IntegerField(primary_key=True)
    amount: models.IntegerField[int, int] = models.IntegerField()
