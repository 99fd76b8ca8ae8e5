"""One attempt to deliver a message, and its outcome. Pure, but for the call of the sink."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec

from rfctl.delivery.target import RetryPolicy
from rfctl.errors import RfctlError
from rfctl.model.delivery import Delivery
from rfctl.sinks.contract import DeliveryError
from rfctl.store import StreamEntry

Send = Callable[[Delivery], Awaitable[str | None]]
"""Sends a delivery to the receiver. Returns as `Delivered.following`. Raises DeliveryError, and RfctlError for Redis."""


class SinkCrashedError(DeliveryError):
    """A sink raised something else than DeliveryError: a bug, which is its `__cause__`."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has taken the message. `following` is set if it was acknowledged in the same step.

    Then it is the entry id of the phone's next pending message, or "". `took_ms` is how long the attempt took.
    """

    following: str | None = None
    took_ms: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver has not taken the message, and the next attempt is due in `wait_ms`."""

    problem: DeliveryError
    wait_ms: int


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """This was the last attempt. `took_ms` is how long it took; None if there was none."""

    problem: DeliveryError
    took_ms: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """The receiver wants no message any more."""

    problem: DeliveryError


@dataclass(frozen=True, slots=True)
class Missing:
    """Somebody deleted the message from the output stream."""


Outcome = Delivered | Failed | DeadLettered | PauseRequested | Missing


class Attempt(Protocol):
    """Makes one attempt: `attempt_delivery`, or something around it."""

    def __call__(
        self, send: Send, entry: StreamEntry, policy: RetryPolicy, instance_id: str
    ) -> Awaitable[Outcome]:
        """Do as `attempt_delivery`."""


async def attempt_delivery(send: Send, entry: StreamEntry, policy: RetryPolicy, instance_id: str) -> Outcome:
    """Try once to deliver a message. `instance_id` names the Redis it is from.

    Raises RfctlError when Redis fails, and CancelledError when this task is cancelled. Any other error of the sink is
    a failed attempt, also a CancelledError of its own.
    """
    if entry.fields is None:
        return Missing()
    started = time.monotonic()
    outcome = await _attempt(send, entry, policy, instance_id)
    if isinstance(outcome, Delivered | DeadLettered):
        return replace(outcome, took_ms=round((time.monotonic() - started) * 1000))
    return outcome


async def _attempt(send: Send, entry: StreamEntry, policy: RetryPolicy, instance_id: str) -> Outcome:
    try:
        return Delivered(await send(_build_delivery(entry, instance_id)))
    except DeliveryError as problem:
        return judge_failure(entry.attempts, problem, policy)
    except RfctlError:
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return judge_failure(entry.attempts, DeliveryError("the sink cancelled it"), policy)
    except Exception as crash:
        error = SinkCrashedError(f"{type(crash).__name__}: {crash}")
        error.__cause__ = crash
        return judge_failure(entry.attempts, error, policy)


def judge_failure(attempts: int, problem: DeliveryError, policy: RetryPolicy) -> Outcome:
    """Return the outcome of an attempt that failed, after so many attempts before it."""
    if problem.pause:
        return PauseRequested(problem)
    if problem.final or attempts >= len(policy.retry_delays_ms):
        return DeadLettered(problem)
    return Failed(problem, max(policy.retry_delays_ms[attempts], problem.retry_after_ms))


def _build_delivery(entry: StreamEntry, instance_id: str) -> Delivery:
    try:
        return entry.to_delivery(instance_id)
    except (ValueError, msgspec.MsgspecError) as problem:
        raise DeliveryError(f"it cannot be read: {problem}", final=True) from None
