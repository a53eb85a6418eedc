"""`manage.py stock` puts books on the shelves."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from bookshop.models import Book

BOOKS = {"Birds of prey": 30, "Falconry": 25, "Towers and cells": 12}


class Command(BaseCommand):
    """Makes those books that are not there yet."""

    help = "Put books on the shelves."

    def handle(self, *args: Any, **options: Any) -> None:
        for title, price in BOOKS.items():
            Book.objects.get_or_create(title=title, defaults={"price": price})
        self.stdout.write(f"{Book.objects.count()} books")
