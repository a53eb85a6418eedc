"""Models of every kind that a rule may name."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils.functional import cached_property


class Status(models.TextChoices):
    DRAFT = "draft"
    LIVE = "live"


class Owner(models.Model):
    name: models.CharField[Any, str] = models.CharField(max_length=50)
    tenant: models.IntegerField[Any, int] = models.IntegerField(default=1)

    def __str__(self) -> str:
        return self.name


class Profile(models.Model):
    owner: models.OneToOneField[Any, Owner] = models.OneToOneField(Owner, models.CASCADE)
    city: models.CharField[Any, str] = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return self.city


class Category(models.Model):
    name: models.CharField[Any, str] = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    products: Any
    name: models.CharField[Any, str] = models.CharField(max_length=50, default="", unique=True)

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    owner: models.ForeignKey[Any, Owner] = models.ForeignKey(
        Owner, models.CASCADE, related_name="products"
    )
    category: models.ForeignKey[Any, Category | None] = models.ForeignKey(
        Category, models.SET_NULL, null=True, related_name="products"
    )
    name: models.CharField[Any, str] = models.CharField(max_length=50, default="")
    price: models.IntegerField[Any, int] = models.IntegerField(default=0)
    weight: models.DecimalField[Any, Decimal] = models.DecimalField(
        max_digits=8, decimal_places=2, default=0
    )
    status: models.CharField[Any, str] = models.CharField(
        max_length=20, choices=Status.choices, default=Status.DRAFT
    )
    data: models.JSONField[Any, Any] = models.JSONField(default=dict)
    owner_id: int
    tags: models.ManyToManyField[Any, Any] = models.ManyToManyField(Tag, related_name="products")
    fans: models.ManyToManyField[Any, Any] = models.ManyToManyField(
        Owner, through="Like", related_name="liked"
    )

    def __str__(self) -> str:
        return self.name

    @property
    def shout(self) -> str:
        return self.name.upper()

    @cached_property
    def initial(self) -> str:
        return self.name[:1]

    def method(self) -> str:
        return self.name


class Like(models.Model):
    product: models.ForeignKey[Any, Product] = models.ForeignKey(Product, models.CASCADE)
    owner: models.ForeignKey[Any, Owner] = models.ForeignKey(Owner, models.CASCADE)
    stars: models.IntegerField[Any, int] = models.IntegerField(default=1)

    def __str__(self) -> str:
        return str(self.stars)


class Discounted(Product):
    """A proxy: another class, the same rows."""

    class Meta:
        """Options of the model."""

        proxy = True

    @property
    def half(self) -> int:
        return self.price // 2


class Book(Product):
    """Inherits from a model with a table of its own: one book is a row in each."""

    isbn: models.CharField[Any, str] = models.CharField(max_length=20, default="")


class Listed(models.Model):
    """Has no rows."""

    class Meta:
        """Options of the model."""

        abstract = True


class Token(models.Model):
    """Its primary key is made before it is saved."""

    id: models.UUIDField[Any, uuid.UUID] = models.UUIDField(primary_key=True, default=uuid.uuid4)
    label: models.CharField[Any, str] = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return self.label


class Visible(models.Manager["Shelved"]):
    """Leaves rows out: what rules see must not depend on it."""

    def get_queryset(self) -> models.QuerySet[Shelved]:
        return super().get_queryset().filter(visible=True)


class Shelved(models.Model):
    """Its only manager does not show every row."""

    name: models.CharField[Any, str] = models.CharField(max_length=50, default="")
    visible: models.BooleanField[Any, bool] = models.BooleanField(default=True)

    objects = Visible()

    def __str__(self) -> str:
        return self.name


class Sample(models.Model):
    """For rules of functions at the top of test modules, which live as long as the process."""

    name: models.CharField[Any, str] = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return self.name


class Ledger(models.Model):
    """For the only rule of the tests of the outbox, which count its entries."""

    name: models.CharField[Any, str] = models.CharField(max_length=50, default="")

    def __str__(self) -> str:
        return self.name


class Quiet(models.Model):
    """Only tests of what a rule costs name it, for a moment."""

    name: models.CharField[Any, str] = models.CharField(max_length=50, default="")
    others: models.ManyToManyField[Any, Any] = models.ManyToManyField("self")

    def __str__(self) -> str:
        return self.name
