"""What type checkers know of cached functions; the linters check what stands in `assert_type`."""

from __future__ import annotations

from typing import Any, Self, assert_type

from tiercel import CACHE_MISSING, Cache

cache = Cache()


class Account:
    """An account of a bank."""

    def __cache_key__(self) -> int:
        return 1

    @cache.cached
    def balance(self, currency: str) -> float:
        return float(len(currency))

    @classmethod
    @cache.cached
    def named(cls, name: str) -> str:
        return f"{cls.__name__} {name}"

    @cache.cached(ttl=60)
    @classmethod
    def rate(cls, years: int) -> float:
        return years * 1.5

    @staticmethod
    @cache.cached
    def tax(amount: float) -> float:
        return amount / 4

    @cache.cached(ttl=60)
    @staticmethod
    async def fee(amount: int) -> int:
        return amount + 1

    @staticmethod
    @cache.cached
    def text(value: object, width: int) -> str:
        return str(value).rjust(width)

    @cache.cached(ttl=60)
    @staticmethod
    async def bits(value: Any) -> int:
        return int(value).bit_length()

    @cache.cached
    def limit(self: object, currency: str) -> int:
        return len(currency)

    @staticmethod
    @cache.cached
    def zero(kind: type[float]) -> float:
        return kind()

    @cache.cached
    def itself(self, years: int) -> Self:
        return self

    @cache.cached(ttl=60)
    async def later(self, years: int) -> list[Self]:
        return [self]

    @classmethod
    @cache.cached
    def opened(cls, name: str) -> Self:
        return cls()

    @cache.cached(ttl=60)
    @classmethod
    async def found(cls, name: str) -> Self:
        return cls()


def test_methods_have_the_types_of_their_functions() -> None:
    """The object is given by the lookup, or first where the class is asked."""
    account = Account()
    assert assert_type(account.balance("EUR"), float) == 3.0
    assert assert_type(account.balance.refresh(currency="EUR"), float) == 3.0
    assert assert_type(Account.balance(account, "EUR"), float) == 3.0


def test_class_methods_get_their_class_wherever_they_are_looked_up() -> None:
    """Also for type checkers."""
    account = Account()
    assert assert_type(Account.named("Ann"), str) == assert_type(account.named("Ann"), str)
    assert assert_type(Account.rate(2), float) == assert_type(account.rate(2), float) == 3.0
    assert assert_type(Account.rate.refresh(years=2), float) == 3.0
    assert Account.rate.get_cache_only(3) is account.rate.get_cache_only(3) is CACHE_MISSING


async def test_static_methods_take_all_arguments_wherever_they_are_looked_up() -> None:
    """Also for type checkers."""
    account = Account()
    assert assert_type(Account.tax(8.0), float) == assert_type(account.tax(8.0), float) == 2.0
    assert assert_type(account.tax.refresh(8.0), float) == 2.0
    assert assert_type(await Account.fee(1), int) == assert_type(await account.fee(1), int) == 2
    assert assert_type(await account.fee.arefresh(1), int) == 2


async def test_functions_that_take_anything_first_have_their_results_everywhere() -> None:
    """Whether it is the object cannot be told, so type checkers leave the arguments alone."""
    account = Account()
    assert assert_type(Account.text(1, 2), str) == assert_type(account.text(1, 2), str) == " 1"
    assert assert_type(account.text.refresh(1, width=2), str) == " 1"
    assert assert_type(await account.bits(7), int) == assert_type(await Account.bits(7), int) == 3
    assert (
        assert_type(account.limit("EUR"), int) == assert_type(Account.limit(account, "E"), int) + 2
    )
    assert assert_type(account.zero(float), float) == assert_type(Account.zero(float), float) == 0


async def test_methods_that_return_their_own_class_have_it_as_their_type() -> None:
    """Also for mypy, which takes `Self` for the class that the method was written in."""
    account = Account()
    itself: Account = account.itself(1)
    refreshed: Account = Account.itself.refresh(account, 1)
    opened: Account = account.opened("Ann")
    found: Account = await Account.found("Ann")
    assert itself is refreshed is account
    assert await account.later(1) == [account]
    assert opened is Account.opened("Ann")
    assert found is await account.found("Ann")


def test_cached_function_itself_is_found_under_its_name() -> None:
    """As the reference says of `cached_function`, for all that is asked of it only."""

    @cache.cached
    def square(number: int) -> int:
        return number**2

    assert square(3) == assert_type(square.cached_function.refresh(3), int) == 9
    assert square.cached_function.plan.explain(3) == {"arguments": "number=3"}
