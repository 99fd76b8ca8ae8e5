"""The way of one probe: the receiver, the batcher, the scheduler and the delivery queue, on keys of its own."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from rfctl.batching import Batcher, BatchingRules, Policy, Scheduler, Timers
from rfctl.delivery import Target
from rfctl.delivery.attempt import Delivered, Missing, Outcome, attempt_delivery
from rfctl.delivery.sending import send
from rfctl.errors import CanaryError, RfctlError
from rfctl.ingest import GroupCommit, Receiver
from rfctl.ingest.group_commit import Bounds
from rfctl.ingest.head import Head
from rfctl.ingest.reception import AwaitedReception
from rfctl.model.delivery import Delivery
from rfctl.model.message import Message
from rfctl.model.stored import Added
from rfctl.observe.facts.probe import ProbedLink
from rfctl.sources.contract import ServedSource
from rfctl.store import DeliveryQueue, Store, StreamEntry
from rfctl.text import duration

RULES = BatchingRules(Policy(Timers(0, 10, 0), ()), dedupe_s=1)
"""Its wait is 0."""
OWN_GROUP = "probe"
"""The group that reads the message where no sink does."""
STEP_S, SINK_S = 1.0, 2.0
"""How long one link may take, and one attempt."""
_LEASE_MS = 10_000
_MAX_SLEEP_MS = 1000


class ProbeWay:
    """The way of one message on the keys of `scratch`, which nobody else has."""

    def __init__(self, scratch: Store, daemon_id: str) -> None:
        self._scratch = scratch
        self._daemon_id = daemon_id
        self._batcher = Batcher(scratch, RULES)
        self._problem: RfctlError | None = None
        self._delivery_id = f"probe-{secrets.token_hex(8)}"

    async def receive(self, served: ServedSource, head: Head, body: bytes) -> None:
        """Take the message as the door takes each one, and store it. Raises RfctlError."""
        commit = GroupCommit(self._add, Bounds(timeout_s=STEP_S))
        receiver = Receiver({served.name: served}, commit, self._scratch.quarantine, self._scratch.counters)
        admitted = receiver.find_served(served.name, head, len(body))
        if admitted is None:
            raise CanaryError("the door does not take the message", next="let rfctl doctor --probe send it")
        request = AwaitedReception(admitted, head, future=asyncio.get_running_loop().create_future())
        try:
            receiver.begin(request, body)
            answer = await request.future
        except TimeoutError:
            raise self._problem or TimeoutError from None
        finally:
            await commit.close()
        if answer.status != 200:
            raise self._problem or CanaryError(
                f"the door answers {answer.status}: {_find_error(answer.body)}"
            )

    async def _add(self, messages: Sequence[Message]) -> list[Added]:
        """Store the messages, and keep why that failed: the answer of a door does not say it."""
        try:
            return await self._batcher.add(messages)
        except RfctlError as problem:
            self._problem = problem
            raise

    async def hand_over(self) -> None:
        """Take a turn of a scheduler. Raises RfctlError."""
        scheduler = Scheduler(self._batcher, max_sleep_ms=_MAX_SLEEP_MS)
        await scheduler.step()
        if scheduler.counts.batches != 1:
            raise CanaryError("a message that was stored and is due was not handed over")

    async def acknowledge(self) -> None:
        """Read the message for a group of its own, and acknowledge it. Raises RfctlError."""
        queue, entry = await self._read(OWN_GROUP)
        await queue.acknowledge(entry.batch_key, entry.id)

    async def _read(self, sink: str) -> tuple[DeliveryQueue, StreamEntry]:
        queue = self._scratch.deliveries(sink, writes_log=lambda: False)
        await queue.open()
        if not await queue.lease(self._daemon_id, _LEASE_MS):
            raise CanaryError("another daemon has the lease of this daemon's own probe")
        entries = await queue.read_new(1, 1, self._daemon_id)
        if not entries:
            raise CanaryError("a message that was handed over could not be read")
        return queue, entries[0]

    async def try_sink(self, target: Target) -> ProbedLink:
        """Make one attempt to deliver the message to a sink. No failure is raised."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(SINK_S):
                outcome = await self._attempt(target)
        except TimeoutError:
            problem = f"its receiver has not answered within {duration(SINK_S * 1000)}"
            return ProbedLink("sink", sink=target.name, problem=problem)
        except RfctlError as problem:
            return ProbedLink("sink", sink=target.name, problem=problem.fact, next=problem.next)
        ms = (time.perf_counter() - began) * 1000
        return describe_outcome(ProbedLink("sink", ms, sink=target.name), outcome)

    async def _attempt(self, target: Target) -> Outcome:
        queue, entry = await self._read(target.name)

        async def send_probe(delivery: Delivery) -> str | None:
            # Its entry's id may be that of a real message in the real stream, and a receiver goes by ids.
            return await send(target.sink, queue, entry, replace(delivery, id=self._delivery_id))

        outcome = await attempt_delivery(send_probe, entry, target.policy, queue.instance_id)
        if isinstance(outcome, Delivered) and outcome.following is None:
            await queue.acknowledge(entry.batch_key, entry.id)
        return outcome


def describe_outcome(link: ProbedLink, outcome: Outcome) -> ProbedLink:
    """Return the link of a sink as an attempt ended."""
    if isinstance(outcome, Delivered):
        return link
    if isinstance(outcome, Missing):
        return ProbedLink("sink", link.ms, "the message vanished before it was delivered", sink=link.sink)
    return ProbedLink("sink", link.ms, outcome.problem.fact, outcome.problem.next, sink=link.sink)


def _find_error(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")
