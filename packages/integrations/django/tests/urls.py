"""No page is served by these tests unless one adds it."""

from __future__ import annotations

urlpatterns: list[object] = []
