"""People whom somebody on our side talks to, on a real server: the bot gets nothing of them until their hold ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rfctl.batching.policy import OwnPolicy, Policy, Rule, Timers
from rfctl.errors import BatchHeldError
from rfctl.model.message import OWN_TYPE, Message
from rfctl.model.stored import decode_item
from rfctl.store.connection import Connection
from tests.support.batching import Rig, make_rig
from tests.support.clock import VirtualClock

PHONE = "79001234567"
OTHER = "79007654321"
MINUTE = 60_000


def message(text: str, phone: str = PHONE, **more: Any) -> Message:
    return Message(phone=phone, text=text, id=more.pop("id", text), channel="generic", **more)


def own(text: str, phone: str = PHONE, **more: Any) -> Message:
    return message(text, phone, type=OWN_TYPE, **more)


def make_own_rig(connection: Connection, policy: OwnPolicy, **more: Any) -> Rig:
    batches = make_rig(connection, **more)
    rules = batches.batcher._rules
    object.__setattr__(rules, "policy", Policy(rules.policy.timers, rules.policy.rules, {"generic": policy}))
    return batches


@pytest.fixture(params=[0, 4])
def shards(request: Any) -> int:
    return int(request.param)


async def texts(batches: Rig) -> list[str]:
    return [merged.text for merged in await batches.collect()]


async def hold(batches: Rig, phone: str = PHONE, for_ms: int = MINUTE) -> None:
    await batches.store.holds.hold(phone, phone, for_ms=for_ms, by="operator", note="talks")


async def test_held_person_is_kept_from_the_bot_and_leaves_as_one(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    batches = make_rig(timed, shards, quiet_ms=50, max_size=3, max_wait_ms=200)
    await batches.add([message("a")])
    await hold(batches)
    for text in "bcde":
        [added] = await batches.add([message(text)])
        assert added.added
        assert added.due_in_ms == MINUTE
    await batches.add([message("theirs", OTHER)])
    await clock.advance(1000)
    await batches.hand_over()
    assert await texts(batches) == ["theirs"]
    assert (await batches.drain()).batches == 0, "the last daemon hands over nothing that is held"
    released = await batches.store.holds.release(PHONE, PHONE)
    assert released is not None
    assert released.count == 5
    assert await texts(batches) == ["theirs", "a b c d e"]
    [merged] = [merged for merged in await batches.collect() if merged.phone == PHONE]
    assert (merged.reason, merged.id) == ("released", released.ids[0])
    assert not await batches.store.holds.list_held()
    assert (await batches.store.pending()).batches == 0


async def test_hold_ends_by_time_while_no_daemon_runs(timed: Connection, clock: VirtualClock) -> None:
    batches = make_rig(timed, quiet_ms=50)
    await hold(batches)
    await batches.add([message("a"), message("b")])
    await clock.advance(MINUTE - 1)
    assert (await batches.hand_over()).batches == 0
    await clock.advance(10 * MINUTE)
    done = await batches.hand_over()
    assert (done.batches, done.messages, done.next_due_ms) == (1, 2, None)
    [merged] = await batches.collect()
    assert (merged.text, merged.reason, merged.late_ms) == ("a b", "released", 9 * MINUTE + MINUTE - 1)


async def test_next_due_is_the_end_of_the_hold_and_moves_with_it(
    timed: Connection, clock: VirtualClock
) -> None:
    batches = make_rig(timed, quiet_ms=50)
    await batches.add([message("a")])
    await hold(batches, for_ms=5 * MINUTE)
    now = await batches.store.now_ms()
    assert (await batches.hand_over()).next_due_ms == now + 5 * MINUTE
    await hold(batches, for_ms=MINUTE)
    assert (await batches.hand_over()).next_due_ms == now + MINUTE
    await clock.advance(MINUTE)
    assert (await batches.hand_over()).batches == 1


async def test_hold_outlives_the_connection_and_is_known_to_every_daemon(connection: Connection) -> None:
    batches = make_rig(connection, quiet_ms=1, max_size=1)
    await hold(batches)
    other = make_rig(connection.reopen(), quiet_ms=1, max_size=1)
    await other.add([message("a")])
    [held] = await other.store.holds.list_held()
    assert (held.phone, held.size, held.by, held.note) == (PHONE, 1, "operator", "talks")
    assert not await other.collect()
    await other.store.close()


async def test_person_who_is_released_twice_is_handed_over_once(connection: Connection) -> None:
    batches = make_rig(connection, quiet_ms=1)
    await hold(batches)
    await batches.add([message("a")])
    answers = await asyncio.gather(*(batches.store.holds.release(PHONE, PHONE) for _ in range(4)))
    assert sum(answer.count for answer in answers if answer) == 1
    assert answers.count(None) == 3
    assert await texts(batches) == ["a"]


async def test_released_person_may_be_discarded(connection: Connection) -> None:
    batches = make_rig(connection, quiet_ms=1)
    await hold(batches)
    await batches.add([message("a"), message("b")])
    released = await batches.store.holds.release(PHONE, PHONE, "discard")
    assert released is not None
    assert (released.ids, released.count) == ([], 2)
    assert [decode_item(item).text for item in released.discarded] == ["a", "b"]
    assert not await batches.collect()
    totals = (await batches.store.pending()).totals
    assert (totals["messages_discarded"], totals["held"], totals["released"]) == (2, 1, 1)


async def test_person_who_was_held_is_batched_as_ever_afterwards(
    timed: Connection, clock: VirtualClock
) -> None:
    batches = make_rig(timed, quiet_ms=50)
    await hold(batches, for_ms=1000)
    await clock.advance(1000)
    for text in "ab":
        [added] = await batches.add([message(text)])
        assert added.due_in_ms == 50
    await clock.advance(50)
    await batches.hand_over()
    [merged] = await batches.collect()
    assert (merged.text, merged.reason) == ("a b", "quiet")
    assert await timed.call("EXISTS", "rfctl:held", "rfctl:held:notes") == 0


async def test_hold_without_messages_is_taken_off_when_it_ends(
    timed: Connection, clock: VirtualClock
) -> None:
    batches = make_rig(timed)
    await hold(batches, for_ms=1000)
    await batches.hand_over()
    assert await timed.call("EXISTS", "rfctl:held", "rfctl:held:notes") == 2
    await clock.advance(1000)
    await batches.hand_over()
    assert await timed.call("EXISTS", "rfctl:held", "rfctl:held:notes") == 0


async def test_what_others_own_leaves_apart(connection: Connection) -> None:
    batches = make_rig(connection, quiet_ms=1)
    await hold(batches)
    for text, company in (("a", 1), ("b", 1), ("c", 2), ("d", 1)):
        await batches.add([message(text, company=company)])
    assert not await batches.collect(), "another company's message hands over nothing that is held"
    released = await batches.store.holds.release(PHONE, PHONE)
    assert released is not None
    assert [(merged.text, merged.company) for merged in await batches.collect()] == [
        ("a b", 1),
        ("c", 2),
        ("d", 1),
    ]


async def test_much_leaves_in_parts_and_nothing_is_lost(timed: Connection, clock: VirtualClock) -> None:
    batches = make_rig(timed, quiet_ms=1, max_size=2)
    await hold(batches)
    for first in range(0, 1100, 50):
        await batches.add([message(str(number)) for number in range(first, first + 50)])
    await batches.add([message("x" * 600_000, id="x"), message("y" * 600_000, id="y")])
    await clock.advance(MINUTE)
    while (await batches.hand_over()).more:
        pass
    counts = [merged.count for merged in await batches.collect()]
    assert (counts[0], sum(counts)) == (1000, 1102)
    assert max(len(merged.text) for merged in await batches.collect()) < 1_048_576
    assert {merged.reason for merged in await batches.collect()} == {"released"}
    assert await timed.call("EXISTS", "rfctl:held", "rfctl:held:notes") == 0


async def test_message_behind_a_first_part_is_not_mixed_into_anything(
    timed: Connection, clock: VirtualClock
) -> None:
    batches = make_rig(timed, quiet_ms=1000)
    await hold(batches)
    await batches.add([message("a", company=1), message("b", company=2)])
    await clock.advance(MINUTE)
    await batches.hand_over(limit=1)
    [added] = await batches.add([message("c", company=3)])
    assert added.due_in_ms == 0
    while (await batches.hand_over()).more:
        pass
    assert [merged.company for merged in await batches.collect()] == [1, 2, 3]


async def test_held_batch_is_not_flushed_and_says_how(connection: Connection) -> None:
    batches = make_rig(connection)
    await batches.add([message("a")])
    await hold(batches)
    with pytest.raises(BatchHeldError) as problem:
        await batches.batches.flush(PHONE)
    assert f"rfctl release {PHONE}" in problem.value.next
    assert not await batches.collect()


async def test_due_time_of_a_held_batch_is_neither_clamped_nor_obeyed_early(
    timed: Connection, clock: VirtualClock
) -> None:
    batches = make_rig(timed, quiet_ms=50, max_wait_ms=100)
    await batches.add([message("a")])
    await hold(batches, for_ms=60 * MINUTE)
    await clock.advance(1000)
    assert (await batches.hand_over()).clamped == 0
    await timed.call("ZADD", "rfctl:due", 0, PHONE)  # as a sweep would put it back
    assert (await batches.hand_over()).batches == 0
    assert (await batches.hand_over()).next_due_ms == await batches.store.now_ms() + 60 * MINUTE - 1000


async def test_drain_passes_over_what_is_held(connection: Connection) -> None:
    batches = make_rig(connection, quiet_ms=50_000)
    phones = [f"7900000{number:04}" for number in range(40)]
    await batches.add([message("a", phone) for phone in phones])
    for phone in phones[:30]:
        await hold(batches, phone, for_ms=1000)  # due before all others
    drained = 0
    while (done := await batches.drain(limit=4)).batches:
        drained += done.batches
        if not done.more:
            break
    assert drained == 10
    assert {merged.phone for merged in await batches.collect()} == set(phones[30:])


async def test_message_that_comes_while_a_hold_begins_is_held_or_leaves_whole(
    connection: Connection,
) -> None:
    batches = make_rig(connection, quiet_ms=1, max_size=1)

    async def add_some(name: str) -> None:
        for number in range(40):
            await batches.add([message(f"{name}{number}")])

    await asyncio.gather(add_some("a"), hold(batches), batches.hand_over(), add_some("b"))
    gone = sum(merged.count for merged in await batches.collect())
    [held] = await batches.store.holds.list_held()
    assert gone + held.size == 80
    released = await batches.store.holds.release(PHONE, PHONE)
    assert released is not None
    assert sum(merged.count for merged in await batches.collect()) == 80


async def test_rule_holds_for_its_time_and_a_repeat_does_not(timed: Connection, clock: VirtualClock) -> None:
    rule = Rule("operator", words=frozenset({"operator"}), action="hold", hold_ms=MINUTE)
    batches = make_rig(timed, policy_rules=[rule], quiet_ms=50)
    await batches.add([message("a")])
    [added] = await batches.add([message("operator")])
    assert added.due_in_ms == MINUTE
    await clock.advance(MINUTE)
    await batches.hand_over()
    assert await texts(batches) == ["a operator"]
    [repeated] = await batches.add([message("operator")])
    assert not repeated.added
    assert not await batches.store.holds.list_held()


async def test_words_of_ours_hold_and_each_begins_the_time_anew(
    timed: Connection, clock: VirtualClock, shards: int
) -> None:
    batches = make_own_rig(timed, OwnPolicy("hold", hold_ms=MINUTE), shards=shards, quiet_ms=50)
    await batches.add([message("a")])
    await batches.add([own("we are here")])
    await clock.advance(MINUTE - 1)
    await batches.add([own("still here")])
    await batches.add([message("b")])
    await clock.advance(MINUTE - 1)
    assert (await batches.hand_over()).batches == 0
    await clock.advance(1)
    assert (await batches.hand_over()).batches == 1
    assert await texts(batches) == ["a b"]
    totals = (await batches.store.pending()).totals
    assert totals["messages_in"] == totals["messages_out"] == 2, "words of ours are no message of a person"


async def test_words_of_ours_never_shorten_a_hold(timed: Connection) -> None:
    batches = make_own_rig(timed, OwnPolicy("hold", hold_ms=MINUTE))
    await hold(batches, for_ms=60 * MINUTE)
    await batches.add([own("hello")])
    [held] = await batches.store.holds.list_held()
    assert held.until_ms == await batches.store.now_ms() + 60 * MINUTE


@pytest.mark.parametrize(("discards", "out"), [(False, ["a b"]), (True, [])])
async def test_words_of_ours_close_what_is_pending(
    timed: Connection, *, discards: bool, out: list[str]
) -> None:
    batches = make_own_rig(timed, OwnPolicy("close", discards=discards))
    await batches.add([message("a"), message("b")])
    await batches.add([own("done already")])
    assert await texts(batches) == out
    assert {merged.reason for merged in await batches.collect()} <= {"closed"}
    assert (await batches.store.pending()).batches == 0
    await batches.add([message("c")])
    await batches.add([own("done already")])  # a repeat
    assert (await batches.store.pending()).batches == 1, "a repeat closes nothing"


async def test_words_of_ours_are_passed_on_in_their_place(timed: Connection, clock: VirtualClock) -> None:
    batches = make_own_rig(timed, OwnPolicy("pass"), quiet_ms=50)
    await batches.add([message("a"), own("we said"), message("b")])
    await clock.advance(50)
    await batches.hand_over()
    [merged] = await batches.collect()
    assert [json.loads(raw)["type"] for raw in merged.raw] == ["text", OWN_TYPE, "text"]


async def test_release_words_of_ours_let_the_bot_go_on(timed: Connection) -> None:
    policy = OwnPolicy("hold", hold_ms=MINUTE, release_words=frozenset({"bot, go on"}))
    batches = make_own_rig(timed, policy, quiet_ms=50_000)
    await batches.add([own("hello"), message("a")])
    [added] = await batches.add([own("Bot, go on!")])
    assert added.due_in_ms == 0, "the scheduler is woken"
    await batches.hand_over()
    [merged] = await batches.collect()
    assert (merged.text, merged.reason) == ("a", "released")
    assert not await batches.store.holds.list_held()


async def test_words_of_ours_that_are_ignored_only_look_for_release_words(timed: Connection) -> None:
    batches = make_own_rig(timed, OwnPolicy("ignore", release_words=frozenset({"go on"})), quiet_ms=50_000)
    await hold(batches)
    await batches.add([message("a"), own("hello")])
    assert (await batches.hand_over()).batches == 0
    await batches.add([own("go on")])
    assert (await batches.hand_over()).batches == 1


async def test_rules_are_not_for_words_of_ours() -> None:
    stop = Rule("stop", words=frozenset({"stop"}), action="discard_batch")
    policy = Policy(Timers(1, 2, 3), [stop], {"generic": OwnPolicy("pass")})
    assert policy.decide(own("stop"), 0).action == ""
    assert policy.decide(message("stop"), 0).action == "discard_batch"
