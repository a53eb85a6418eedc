"""The application whose models the tests change."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "packages.integrations.django.tests.shop"
    label = "shop"
