"""What a daemon does, in short scenes: in each of them every call to Redis is let fail, one after another.

A scene prepares what it needs, arms the parts whose calls are to fail, and acts until its work is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rfctl.model.message import Renaming
from rfctl.sinks.contract import DeliveryError
from tests.faults import worker_scenes
from tests.support.life import ANNA, BORIS, SINK, Life, SinkKind, call_until_answered, have_come
from tests.support.waiting import until

OFTEN = 100
"""More answers of a kind than any scene asks for: an answer counts again when the lease ran out before it was stored."""
HOUR_MS = 3_600_000
ALL_KINDS: tuple[SinkKind, ...] = ("receiver", "list", "stream")
WORKERS: tuple[SinkKind, ...] = ("workers",)
FIRST_ID, NEW_ID, OTHER_ID = "AR.first", "AR.new", "AR.other"
"""Second ids of people."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scene: `act` raises nothing, whatever call fails. `dead` are the texts that end as dead letters."""

    act: Callable[[Life], Awaitable[None]]
    kinds: tuple[SinkKind, ...] = ("receiver",)
    dead: tuple[str, ...] = ()
    trimmed: bool = False

    @property
    def name(self) -> str:
        """Its name in the tests."""
        return self.act.__name__


async def intake(life: Life) -> None:
    life.plan.arm("intake")
    await life.send(ANNA, "a1", "a2", "a3")
    await life.send(BORIS, "b1")
    life.start_scheduler()
    life.start_forwarder()


async def hand_over(life: Life) -> None:
    await life.send(ANNA, "a1")
    await life.send(BORIS, "b1")
    life.plan.arm("scheduler")
    life.start_scheduler()
    await life.send(ANNA, "a2")

    async def all_left() -> bool:
        return len(await life.read_entries()) >= 3

    await until(all_left)
    life.start_forwarder()


async def forwarder_start(life: Life) -> None:
    await life.hand_over(ANNA, "a1", "a2")
    await life.hand_over(BORIS, "b1")
    life.plan.arm("forwarder")
    life.start_forwarder()
    await have_come(life, "a1", "a2", "b1")
    life.start_scheduler()


async def take_over(life: Life) -> None:
    """Another daemon has read two messages under its lease, and is dead: it acknowledges nothing."""
    await life.hand_over(ANNA, "a1", "a2")
    queue = life.queue()
    await queue.open()

    async def read_by_the_dead() -> bool:
        is_leased = await queue.lease("the-dead-daemon", 300)
        return is_leased and bool(await queue.read_new(2, 1, "the-dead-daemon"))

    await until(read_by_the_dead)
    await life.hand_over(ANNA, "a3")
    life.plan.arm("forwarder")
    life.start_forwarder()
    await life.hand_over(BORIS, "b1")
    await have_come(life, "a1", "a2", "a3", "b1")
    life.start_scheduler()


async def delivery(life: Life) -> None:
    life.start_scheduler()
    life.start_forwarder()
    await life.send(ANNA, "a0")
    await have_come(life, "a0")
    life.plan.arm("forwarder")
    await life.send(ANNA, "a1", "a2")
    await life.send(BORIS, "b1")
    await have_come(life, "a1", "a2", "b1")
    await until(life.read_settled)


async def retry(life: Life) -> None:
    life.receiver.answers = {"a1": [DeliveryError("no"), DeliveryError("not yet")]}
    await life.hand_over(ANNA, "a1", "a2", "a3")
    await life.hand_over(BORIS, "b1")
    life.plan.arm("forwarder")
    life.start_forwarder()
    await life.hand_over(ANNA, "a4")
    await have_come(life, "a1", "a2", "a3", "a4", "b1")
    await until(life.read_settled)
    life.start_scheduler()


async def dead_letter(life: Life) -> None:
    life.receiver.answers = {"a1": [DeliveryError("never", final=True) for _ in range(OFTEN)]}
    await life.hand_over(ANNA, "a1", "a2")
    life.plan.arm("forwarder")
    life.start_forwarder()
    await have_come(life, "a2")
    await until(life.read_dead)
    life.start_scheduler()


async def requeue(life: Life) -> None:
    life.receiver.answers = {"a1": [DeliveryError("never", final=True) for _ in range(OFTEN)]}
    await life.hand_over(ANNA, "a1")
    life.start_forwarder()
    await until(life.read_dead)
    life.receiver.answers = {}
    life.plan.arm("operator", "forwarder")
    [letter] = await call_until_answered(life.store("operator").dead_letters.list_newest)
    await call_until_answered(lambda: life.store("operator").dead_letters.retry(letter))
    life.plan.arm("forwarder")
    await have_come(life, "a1")
    await until(life.read_settled)
    life.start_scheduler()


async def trim(life: Life) -> None:
    await life.hand_over(ANNA, "a1", "a2")
    life.start_forwarder()
    await have_come(life, "a1", "a2")
    await until(life.read_settled)
    life.receiver.answers = {"a3": [DeliveryError("not yet")] * 2}
    await life.hand_over(ANNA, "a3", "a4")
    await life.hand_over(BORIS, "b1")
    life.plan.arm("operator")
    output = life.store("operator").output
    await call_until_answered(lambda: output.ensure_groups(["workers"]))
    await call_until_answered(lambda: output.trim(retention_s=0, retention_entries=0))
    life.plan.arm()
    assert "a4" in await life.read_entries(), "an entry that the workers have not read was trimmed"
    life.start_scheduler()


async def pause(life: Life) -> None:
    """The receiver asks for a pause until it has one; the operator resumes the sink, once."""
    paused, pauses = life.store("operator").paused_sinks, life.store().paused_sinks
    life.receiver.answers = {"a1": [DeliveryError("gone", pause=True) for _ in range(OFTEN)]}
    await life.hand_over(ANNA, "a1", "a2")
    life.plan.arm("forwarder")
    life.start_forwarder()
    await until(lambda: pauses.contains(SINK))
    life.receiver.answers = {}
    life.plan.arm("forwarder", "operator")
    await life.hand_over(BORIS, "b1")
    await call_until_answered(lambda: paused.resume(SINK))
    life.plan.arm("forwarder")
    await have_come(life, "a1", "a2", "b1")
    life.start_scheduler()


async def hold(life: Life) -> None:
    """A desk holds a person twice over, and releases her; each call is made again until it is answered."""
    holds = life.store("operator").holds
    life.start_scheduler()
    life.start_forwarder()
    life.plan.arm("operator", "intake", "scheduler")
    for _ in range(2):
        await call_until_answered(lambda: holds.hold(ANNA, ANNA, for_ms=HOUR_MS, by="operator"))
    await life.send(ANNA, "a1", "a2", "a3")
    await life.send(BORIS, "b1")
    await have_come(life, "b1")
    assert not {"a1", "a2", "a3"} & set(await life.read_entries()), "a held person's messages left"
    await call_until_answered(lambda: holds.release(ANNA, ANNA))
    await have_come(life, "a1", "a2", "a3")
    life.plan.arm()
    assert not await life.store().holds.list_held(), "somebody is still held"


async def discard_held(life: Life) -> None:
    """What came of a held person is thrown away, if need be in a second call; what comes later is delivered."""
    holds = life.store("operator").holds
    life.start_forwarder()
    await call_until_answered(lambda: holds.hold(ANNA, ANNA, for_ms=HOUR_MS, by="operator"))
    await life.send(ANNA, "a1", "a2", "a3")
    life.plan.arm("operator")
    await call_until_answered(lambda: holds.release(ANNA, ANNA, "discard"))
    life.plan.arm()
    life.sent[ANNA].clear()
    life.start_scheduler()


async def aliases(life: Life) -> None:
    """A person is known by a number and a second id, and writes by either: all of it is one batch, in its order."""
    life.plan.arm("intake")
    await life.send(ANNA, "a1", alias=FIRST_ID)
    await life.send(ANNA, "a2", alias=FIRST_ID, is_hidden=True)
    await life.send(BORIS, "b1", alias=OTHER_ID)
    life.start_scheduler()
    life.start_forwarder()
    await life.send(ANNA, "a3", alias=FIRST_ID, is_hidden=True)
    await life.send(BORIS, "b2", alias=OTHER_ID, is_hidden=True)


async def alias_moves(life: Life) -> None:
    """The provider tells a new second id in the place of the former one, again and again until it is answered."""
    await life.send(ANNA, "a1", alias=FIRST_ID)
    life.plan.arm("intake", "operator")
    renaming = Renaming("generic", NEW_ID, FIRST_ID)
    await call_until_answered(lambda: life.store("operator").aliases.move([renaming]))
    await life.send(ANNA, "a2", alias=NEW_ID, is_hidden=True)
    life.start_scheduler()
    life.start_forwarder()
    # Whoever has the former one by now is somebody else.
    await life.send(FIRST_ID, "x1", alias=FIRST_ID, is_hidden=True)
    await life.send(ANNA, "a3", alias=NEW_ID, is_hidden=True)


async def alias_of_another_owner(life: Life) -> None:
    """A number goes to somebody else: who writes by the older id alone is never put under them."""
    life.plan.arm("intake")
    await life.send(ANNA, "a1", alias=FIRST_ID)
    await life.send(ANNA, "a2", alias=OTHER_ID)
    life.start_scheduler()
    life.start_forwarder()
    await life.send(FIRST_ID, "x1", alias=FIRST_ID, is_hidden=True)
    await life.send(ANNA, "a3", alias=OTHER_ID, is_hidden=True)


SCENARIOS = (
    Scenario(intake),
    Scenario(hand_over),
    Scenario(forwarder_start, ALL_KINDS),
    Scenario(take_over, ALL_KINDS),
    Scenario(delivery, ALL_KINDS),
    Scenario(retry),
    Scenario(dead_letter, dead=("a1",)),
    Scenario(requeue),
    Scenario(trim, trimmed=True),
    Scenario(pause),
    Scenario(hold),
    Scenario(discard_held),
    Scenario(aliases),
    Scenario(alias_moves),
    Scenario(alias_of_another_owner),
    Scenario(worker_scenes.worker_claims, WORKERS),
    Scenario(worker_scenes.worker_acknowledges, WORKERS, dead=("a1", "b1")),
    Scenario(worker_scenes.worker_takes_over, WORKERS),
    Scenario(worker_scenes.worker_stops, WORKERS),
    Scenario(worker_scenes.give_back, WORKERS),
    Scenario(worker_scenes.forget_at_workers, WORKERS, trimmed=True),
    Scenario(worker_scenes.forget_in_hand, WORKERS, trimmed=True),
)
