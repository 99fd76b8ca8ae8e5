"""What rules do on a real server beyond a batch: messages that go nowhere, and batches that wait for an opening."""

from __future__ import annotations

from typing import Any

import pytest

from rfctl.batching import Batcher, BatchingRules, Policy, Rule, Timers
from rfctl.batching.hours import build_hours
from rfctl.model.message import Message
from rfctl.model.stored import NEVER_DUE_MS
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock

PHONE = "79001234567"
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
DROP = Rule("night-owl", words=frozenset({"drop"}), action="drop")


def message(text: str, phone: str = PHONE, **more: Any) -> Message:
    return Message(phone=phone, text=text, id=more.pop("id", text), channel="generic", **more)


@pytest.fixture(params=[0, 4])
def shards(request: Any) -> int:
    return int(request.param)


async def totals(rig: Rig) -> dict[str, int]:
    return dict((await rig.store.pending()).totals)


async def test_dropped_message_goes_nowhere_and_is_counted_by_its_rule(
    connection: Connection, shards: int
) -> None:
    rig = make_rig(connection, shards, (DROP,))
    first, dropped, second = await rig.add([message("a"), message("drop"), message("b")])
    assert (first.size, second.size, dropped.dropped_by) == (1, 2, "night-owl")
    assert (dropped.added, dropped.size, dropped.due_in_ms) == (False, 0, NEVER_DUE_MS)
    await rig.drain()
    assert [merged.text for merged in await rig.collect()] == ["a b"]
    counts = await totals(rig)
    assert (counts["dropped:night-owl"], counts["messages_in"], counts["messages_out"]) == (1, 2, 2)


async def test_dropped_message_leaves_neither_a_batch_nor_an_index(connection: Connection) -> None:
    rig = make_rig(connection, 0, (DROP,))
    await rig.add([message("drop", chat="g"), message("drop", "<hashed>", id="2")])
    assert (await rig.store.pending()).batches == 0
    left = {key.decode() for key in await connection.call("KEYS", "*")}
    assert not [
        key for key in left if key.startswith(("rapid-fire:", "last-msg:", "rfctl:due", "rfctl:phones"))
    ]


async def test_repeat_of_a_dropped_message_is_a_duplicate_whatever_the_rules_are_then(
    connection: Connection, shards: int
) -> None:
    rig = make_rig(connection, shards, (DROP,))
    [_, again] = await rig.add([message("drop"), message("drop")])
    assert (again.added, again.dropped_by, again.size) == (False, "", 0)
    rig.batcher.reconfigure(BatchingRules(Policy(Timers(5000, 10, 60_000))))
    [repeat] = await rig.add([message("drop")])
    assert (repeat.added, repeat.dropped_by) == (False, "")
    counts = await totals(rig)
    assert (counts["dropped:night-owl"], counts["duplicates"]) == (1, 2)
    assert (await rig.drain()).batches == 0


async def test_drop_leaves_what_is_pending_as_it_was(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed, 0, (DROP,), quiet_ms=100)
    await rig.add([message("a", company="1")])
    await clock.advance(60)
    await rig.add([message("drop", company="2")])
    await clock.advance(39)
    assert (await rig.hand_over()).batches == 0
    await clock.advance(1)
    await rig.hand_over()
    [merged] = await rig.collect()
    assert (merged.text, merged.reason, merged.late_ms) == ("a", "quiet", 0)


async def test_delivery_log_has_dropped_messages_if_it_is_on(connection: Connection, shards: int) -> None:
    rig = make_rig(connection, shards, (DROP,), logs_drops=True)
    await rig.add([message("drop", id='wa "1"')])
    await rig.add([message("drop", "+7 (900) <x>", id="2", chat="g")])
    logged = [item async for item in rig.store.delivery_log.iterate(phone=PHONE)]
    assert [(item.rule, item.id, item.outcome, item.sink) for item in logged] == [
        ("night-owl", 'wa "1"', "dropped", "")
    ]
    hidden = [item async for item in rig.store.delivery_log.iterate(phone="+7 (900) <x>")]
    assert [item.id for item in hidden] == ["2"]
    silent = make_rig(connection, shards, (DROP,))
    await silent.add([message("drop", id="3")])
    assert await rig.store.delivery_log.count() == 2


def at_night(rig: Rig, hour: int, *rules: Rule) -> None:
    """Let it be so late in the day for the rules of a rig; the shop opens at 9 and closes at 18."""
    closed = Rule("closed", outside_hours=build_hours(["09:00-18:00"], "UTC"), action="wait_until_open")
    policy = Policy(Timers(5000, 3, 60_000), (*rules, closed))
    rig.batcher = Batcher(rig.store, BatchingRules(policy, now_ms=lambda: hour * HOUR_MS))


async def test_messages_of_a_night_leave_as_one_when_hours_open(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    rig = make_rig(timed, shards)
    at_night(rig, 20)
    [first] = await rig.add([message("a")])
    assert first.due_in_ms == 13 * HOUR_MS
    for number, hour in enumerate((21, 22, 23, 24 + 8)):
        await clock.advance(HOUR_MS if hour < 24 else 9 * HOUR_MS)
        at_night(rig, hour)
        [added] = await rig.add([message(str(number))])
        assert added.due_in_ms == (33 - hour) * HOUR_MS
        assert (await rig.hand_over()).clamped == 0
    await clock.advance(HOUR_MS - 1)
    assert (await rig.hand_over()).batches == 0
    await clock.advance(1)
    assert (await rig.hand_over()).batches == 1
    [merged] = await rig.collect()
    assert (merged.text, merged.reason, merged.late_ms) == ("a 0 1 2 3", "quiet", 0)


async def test_message_at_the_opening_joins_those_of_the_night_and_is_not_late(
    timed: Connection, clock: VirtualClock
) -> None:
    rig = make_rig(timed)
    at_night(rig, 20)
    await rig.add([message("night")])
    await clock.advance(13 * HOUR_MS + 5)
    at_night(rig, 24 + 9)
    [added] = await rig.add([message("morning")])
    assert (added.size, added.due_in_ms) == (2, 0)
    done = await rig.hand_over()
    assert (done.batches, done.overdue) == (1, 0)
    [merged] = await rig.collect()
    assert (merged.text, merged.late_ms) == ("night morning", 5)


async def test_another_rule_answers_at_once_outside_of_hours(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed)
    urgent = Rule("urgent", words=frozenset({"urgent"}), action="send_batch")
    at_night(rig, 20, urgent)
    await rig.add([message("a")])
    await clock.advance(MINUTE_MS)
    await rig.add([message("urgent")])
    [merged] = await rig.collect()
    assert (merged.text, merged.reason) == ("a urgent", "bypass")


async def test_daemon_with_other_rules_lets_a_night_be(timed: Connection, clock: VirtualClock) -> None:
    rig = make_rig(timed)
    at_night(rig, 20)
    await rig.add([message("a")])
    other = make_rig(timed)
    assert (await other.hand_over()).clamped == 0
    await clock.advance(13 * HOUR_MS)
    assert (await other.hand_over()).batches == 1
