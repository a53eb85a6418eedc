"""The pages of the shop."""

from __future__ import annotations

from django.urls import path

from bookshop import views

urlpatterns = [
    path("", views.books, name="books"),
    path("books/<int:pk>", views.BookPage.as_view(), name="book"),
    path("books/<int:pk>/price", views.price, name="price"),
    path("about", views.about, name="about"),
    path("basket", views.basket, name="basket"),
]
