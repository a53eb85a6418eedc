"""The push channel that memory tiers follow, and the mailboxes that wake waiters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import pytest

from tiercel.contracts.backend import (
    Begin,
    Capability,
    Clear,
    DropKey,
    DropScopes,
    Fill,
    Held,
    Mailbox,
    Poll,
    Read,
    ReadThenBegin,
    Release,
    Renew,
)
from tiercel.contracts.position import Polled, Position
from tiercel.errors import BackendRefused, BackendUnavailable
from tiercel.testing.conformance.tier import LONG, TICK, Tier, entry, needs

SOON = 20.0
"""Seconds within which a wake must arrive, however busy the machine is."""


def positions_of(polled: Mapping[str, Polled]) -> dict[str, Position]:
    """Return the last positions, to poll from."""
    return {name: channel.last for name, channel in polled.items() if channel.last}


def names_in(polled: Mapping[str, Polled]) -> list[str]:
    """Return every name that was announced."""
    messages = [message for channel in polled.values() for message in channel.messages]
    return [name for message in messages for name in message.names]


def start(tier: Tier) -> dict[str, Position]:
    """Announce something, so that every channel exists, and return the last positions."""
    tier.drop(tier.function("start"))
    return positions_of(tier.run(Poll({}, 0.0)))


@needs(Capability.PUSH)
class ChannelTests:
    """A chain of announcements that readers can check for gaps (rule 9)."""

    def test_poll_from_nowhere_shows_positions_and_no_messages(self, tier: Tier) -> None:
        """A reader without a position adopts the last one and is told nothing of the past."""
        start(tier)
        polled = tier.run(Poll({}, 0.0))
        assert polled
        assert all(channel.last and not channel.messages for channel in polled.values())

    def test_poll_at_the_end_shows_the_same_position(self, tier: Tier) -> None:
        """An idle channel proves that it is alive and unchanged."""
        positions = start(tier)
        polled = tier.run(Poll(positions, 0.0))
        assert names_in(polled) == []
        assert positions_of(polled) == positions

    def test_drops_are_announced_by_name(self, tier: Tier) -> None:
        """Partitions, functions and keys appear with the names that readers know them by."""
        positions, key = start(tier), tier.key()
        tier.drop(tier.partition())
        tier.drop(tier.function())
        tier.run(DropKey(key))
        announced = set(names_in(tier.run(Poll(positions, 0.0))))
        assert {tier.partition().name, tier.function().name, key.text} <= announced

    def test_drop_of_nothing_opens_every_channel(self, tier: Tier) -> None:
        """Memory trusts a channel only once it is there, though nothing was ever dropped."""
        positions = start(tier)
        tier.run(DropScopes((), LONG))
        polled = tier.run(Poll(positions, 0.0))
        assert not any(names_in(polled))
        assert {len(channel.messages) for channel in polled.values()} == {1}
        tier.run(Clear("tiercel"))
        tier.run(DropScopes((), LONG))
        assert all(channel.last for channel in tier.run(Poll({}, 0.0)).values())

    def test_fill_is_announced_only_if_asked(self, tier: Tier) -> None:
        """Memory tiers hear of refreshes that replace what they hold, not of first fills."""
        positions, quiet, loud = start(tier), tier.key("quiet"), tier.key("loud")
        tier.store(quiet, b"value")
        granted = tier.take(loud)
        payload = entry(loud, granted.stamps, b"value")
        assert tier.run(Fill(loud, granted.token, payload, LONG, announce=True))
        assert names_in(tier.run(Poll(positions, 0.0))) == [loud.text]

    def test_fill_when_refused_is_not_announced(self, tier: Tier) -> None:
        """A refused fill changes nothing for anybody."""
        positions, key = start(tier), tier.key()
        assert tier.run(Fill(key, bytes(16), b"value", LONG, announce=True)) is False
        assert names_in(tier.run(Poll(positions, 0.0))) == []

    def test_messages_form_a_dense_chain(self, tier: Tier) -> None:
        """Numbers are dense and each message names the nonce before it, so gaps show."""
        positions = start(tier)
        for number in range(10):
            tier.drop(tier.partition(f"p{number}"))
        polled = tier.run(Poll(positions, 0.0))
        assert sum(len(channel.messages) for channel in polled.values()) >= 10
        for name, channel in polled.items():
            at = positions[name]
            for message in channel.messages:
                here = message.position
                assert (here.epoch, here.number) == (at.epoch, at.number + 1)
                assert message.previous == at.nonce
                assert here.nonce != at.nonce
                at = here
            assert channel.last == at

    def test_poll_continues_where_it_was(self, tier: Tier) -> None:
        """A reader that was away gets exactly what it missed."""
        positions, seen = start(tier), []
        for number in range(4):
            tier.drop(tier.partition(f"p{number}"))
            tier.drop(tier.partition(f"q{number}"))
            polled = tier.run(Poll(positions, 0.0))
            positions.update(positions_of(polled))
            seen.append(set(names_in(polled)))
        assert seen == [
            {tier.partition(f"p{n}").name, tier.partition(f"q{n}").name} for n in range(4)
        ]

    def test_poll_that_blocks_returns_with_the_message(self, tier: Tier) -> None:
        """A waiting reader hears of a drop by another client long before its time is over."""
        positions = start(tier)
        scope = tier.partition()
        began = time.monotonic()
        with tier.meanwhile(lambda other: other.drop(scope), delay=TICK):
            polled = tier.run(Poll(positions, 4 * SOON))
        assert names_in(polled) == [scope.name]
        assert time.monotonic() - began < SOON

    def test_poll_that_blocks_in_vain_returns_in_time(self, tier: Tier) -> None:
        """Waiting ends after `block` seconds with nothing."""
        positions = start(tier)
        began = time.monotonic()
        assert names_in(tier.run(Poll(positions, 2 * TICK))) == []
        assert TICK < time.monotonic() - began < SOON

    def test_poll_that_blocks_leaves_the_event_loop_to_others(self, tier: Tier) -> None:
        """Async code goes on while a reader waits."""
        if tier.mode == "sync":
            pytest.skip("not offered: event loops are for async code")
        positions, backend, scope = start(tier), tier.backend, tier.partition()

        async def drop_beside() -> list[str]:
            waiting = asyncio.create_task(backend.aexecute(Poll(positions, SOON)))
            await asyncio.sleep(TICK)
            assert not waiting.done(), "nothing else was done until the time was over"
            await backend.aexecute(DropScopes((scope,), LONG))
            return names_in(await waiting)

        assert tier.call(drop_beside()) == [scope.name]

    def test_drop_when_announced_is_already_in_force(self, tier: Tier) -> None:
        """Whoever hears of a drop and reads again cannot get the old value (H11)."""
        key, positions = tier.key(), start(tier)
        for number in range(10):
            tier.store(key, b"%d" % number)
            with tier.meanwhile(lambda other: other.drop(tier.partition())):
                polled = tier.run(Poll(positions, SOON))
                after = tier.value(key)
            assert names_in(polled) == [tier.partition().name]
            assert after is None
            positions.update(positions_of(polled))

    def test_clear_breaks_the_chain(self, tier: Tier) -> None:
        """Memory tiers notice that everything was forgotten."""
        positions = start(tier)
        tier.run(Clear("tiercel"))
        polled = tier.run(Poll(positions, 0.0))
        assert names_in(polled) or positions_of(polled) != positions


class NoChannelTests:
    """What is not offered is refused, not imitated."""

    def test_poll_without_push_is_refused(self, tier: Tier) -> None:
        """A reader must never trust a channel that says nothing."""
        if Capability.PUSH in tier.backend.capabilities:
            assert tier.run(Poll({}, 0.0)) is not None
        else:
            with pytest.raises(BackendRefused):
                tier.run(Poll({}, 0.0))


@needs(Capability.ATOMIC, Capability.PUSH)
class MailboxTests:
    """Waiters are woken by fill, drop and release (rule 13)."""

    def test_waiter_is_woken_by_a_fill(self, tier: Tier) -> None:
        """The wake names the key."""
        key = tier.key()
        granted = tier.take(key)
        with waiting(tier, key.text) as mailbox:
            tier.fill(key, granted, b"value")
            assert list(mailbox.receive(SOON)) == [key.text]

    def test_waiter_is_woken_who_read_and_began_at_once(self, tier: Tier) -> None:
        """Who asks in one round trip is registered as who asks in two."""
        key = tier.key()
        granted = tier.take(key)
        with waiting(tier, key.text, combined=True) as mailbox:
            tier.fill(key, granted, b"value")
            assert list(mailbox.receive(SOON)) == [key.text]

    def test_waiter_is_woken_by_a_drop_of_the_key(self, tier: Tier) -> None:
        """Nobody waits for a fill that would be refused."""
        key = tier.key()
        tier.take(key)
        with waiting(tier, key.text) as mailbox:
            tier.run(DropKey(key))
            assert list(mailbox.receive(SOON)) == [key.text]

    def test_waiter_is_woken_by_a_release(self, tier: Tier) -> None:
        """A failed computation passes its turn on at once."""
        key = tier.key()
        granted = tier.take(key)
        with waiting(tier, key.text) as mailbox:
            tier.run(Release(key, granted.token))
            assert list(mailbox.receive(SOON)) == [key.text]

    def test_waiter_is_woken_by_the_fill_of_a_forced_lease(self, tier: Tier) -> None:
        """Who takes a lease over takes its waiters over."""
        key = tier.key()
        tier.take(key)
        with waiting(tier, key.text) as mailbox:
            tier.fill(key, tier.take(key, force=True), b"value")
            assert list(mailbox.receive(SOON)) == [key.text]

    def test_waiter_is_woken_by_the_fill_of_a_lease_of_other_stamps(self, tier: Tier) -> None:
        """Who waits does not learn of a drop, so the next holder wakes it."""
        key = tier.key()
        tier.take(key)
        with waiting(tier, key.text) as mailbox:
            tier.drop(tier.partition())
            tier.fill(key, tier.take(key), b"value")
            assert list(mailbox.receive(SOON)) == [key.text]

    def test_waiter_is_woken_after_a_renewal(self, tier: Tier) -> None:
        """Renewing a lease forgets none of its waiters."""
        key = tier.key()
        granted = tier.take(key)
        with waiting(tier, key.text) as mailbox:
            assert tier.run(Renew(key, granted.token, LONG))
            tier.fill(key, granted, b"value")
            assert list(mailbox.receive(SOON)) == [key.text]

    def test_every_waiter_is_woken_and_nobody_else(self, tier: Tier) -> None:
        """Two processes wait for the key; a third waits for another."""
        key, quiet = tier.key(), tier.key("quiet")
        granted = tier.take(key)
        tier.take(quiet)
        with (
            waiting(tier, key.text, "one") as one,
            waiting(tier, key.text, "two") as two,
            waiting(tier, quiet.text, "three") as three,
        ):
            tier.fill(key, granted, b"value")
            assert [list(one.receive(SOON)), list(two.receive(SOON))] == [[key.text]] * 2
            assert list(three.receive(TICK)) == []

    def test_refused_fill_wakes_nobody(self, tier: Tier) -> None:
        """Waiters sleep on while the holder still computes."""
        key = tier.key()
        tier.take(key)
        with waiting(tier, key.text) as mailbox:
            assert tier.run(Fill(key, bytes(16), b"intruder", LONG)) is False
            tier.run(Release(key, bytes(16)))
            assert list(mailbox.receive(TICK)) == []

    def test_mailbox_waits_for_a_wake_as_long_as_it_is_told_to(self, tier: Tier) -> None:
        """A process that waits does nothing else meanwhile, and hears of what comes later."""
        key = tier.key()
        granted = tier.take(key)
        with waiting(tier, key.text) as mailbox:
            began = time.monotonic()
            assert list(mailbox.receive(2 * TICK)) == []
            assert TICK < time.monotonic() - began < SOON
            with tier.meanwhile(lambda other: other.run(Release(key, granted.token)), delay=TICK):
                assert list(mailbox.receive(SOON)) == [key.text]

    def test_mailbox_when_closed_ends_its_receive(self, tier: Tier) -> None:
        """A process that shuts down does not hang in a wait."""
        mailbox = tier.backend.open_mailbox(f"{tier.space}-closing")
        assert mailbox is not None
        began = time.monotonic()
        closing = tier.meanwhile(lambda _: mailbox.close(), delay=TICK)
        with closing, suppress(BackendUnavailable):
            assert list(mailbox.receive(4 * SOON)) == []
        assert time.monotonic() - began < SOON


@contextmanager
def waiting(
    tier: Tier, text: str, waiter: str = "waiter", combined: bool = False
) -> Iterator[Mailbox]:
    """Open a mailbox, then register it with the lease of `tier.key` that has this text."""
    address = f"{tier.space}-{waiter}"
    mailbox = tier.backend.open_mailbox(address)
    assert mailbox is not None, "a backend with PUSH wakes its waiters"
    key = tier.key(text.rpartition(":")[2])
    try:
        begin = Begin(key, LONG, LONG, waiter=address)
        if combined:
            reading, begun = tier.run(ReadThenBegin(begin))
        else:
            reading, begun = tier.run(Read(key)), tier.run(begin)
        assert reading.payload is None
        assert isinstance(begun, Held)
        yield mailbox
    finally:
        mailbox.close()
