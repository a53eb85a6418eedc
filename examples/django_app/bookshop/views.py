"""Pages that are cached until what they show changes, and pages that never are."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views import View

from bookshop.models import Book
from tiercel import ArgsKeyField, InvalidationRule, KeyConstructor, cached_view, request_cached

renderings = count(1)
"""Tells renderings apart, so that everybody can see which pages were cached."""


class ByBook(KeyConstructor):
    """One page for each book, dropped by itself."""

    pk = ArgsKeyField("pk", partition=True)


ANY_BOOK = InvalidationRule(Book, field_mapping=InvalidationRule.ALL, trigger_on_create=True)
THIS_BOOK = InvalidationRule(Book, field_mapping={"pk": "id"})


@request_cached
def most_expensive() -> Book | None:
    """The book that the frame of every page shows; asked for once per request."""
    return Book.objects.order_by("-price").first()


def page(request: HttpRequest, name: str, **context: Any) -> HttpResponse:
    """Render a page."""
    common = {"rendering": next(renderings), "most_expensive": most_expensive}
    return render(request, f"bookshop/{name}.html", common | context)


@cached_view(expiry=3600, invalidates_on=[ANY_BOOK])
def books(request: HttpRequest) -> HttpResponse:
    """All books; a new list once any of them changes."""
    return page(request, "books", books=Book.objects.order_by("title"))


class BookPage(View):
    """One book; a new page once this one changes."""

    @cached_view(ByBook, expiry=3600, invalidates_on=[THIS_BOOK])
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return page(request, "book", book=get_object_or_404(Book, pk=pk))


@cached_view(["path"], expiry=60, stale=600)
async def about(request: HttpRequest) -> HttpResponse:
    """Something that never changes."""
    return HttpResponse(f"A bookshop. Rendering {next(renderings)}")


@cached_view()
def price(request: HttpRequest, pk: int) -> HttpResponse | HttpResponseRedirect:
    """A form; its CSRF token keeps it out of the cache, as its POST does."""
    book = get_object_or_404(Book, pk=pk)
    if request.method == "POST":
        book.price = int(request.POST["price"])
        book.save()
        return redirect("book", pk=pk)
    return page(request, "price", book=book)


@cached_view(["path"])
def basket(request: HttpRequest) -> HttpResponse:
    """What somebody wants to buy; it uses the session, so that nobody else gets it."""
    wanted = request.session.setdefault("basket", [])
    if title := request.GET.get("add"):
        request.session["basket"] = wanted = [*wanted, title]
    return page(request, "basket", basket=wanted)
