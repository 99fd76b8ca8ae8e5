"""What the log says about attempts that did not succeed."""

from __future__ import annotations

import structlog

from rfctl.delivery.attempt import Failed, SinkCrashedError
from rfctl.errors import RfctlError
from rfctl.sinks.contract import DeliveryError
from rfctl.store import StreamEntry


class OutcomeLog:
    """The log of one sink's attempts."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log

    def write_failed(self, entry: StreamEntry, outcome: Failed) -> None:
        """Say that an attempt failed, and when the next one is due."""
        self._write_crash(entry, outcome.problem)
        self._log.warning(
            "delivery_failed", id=entry.id, phone=entry.phone, attempts=entry.attempts + 1,
            problem=outcome.problem.fact, again_in_ms=outcome.wait_ms,
        )  # fmt: skip

    def write_dead_lettered(self, entry: StreamEntry, problem: DeliveryError) -> None:
        """Say that the last attempt failed."""
        self._write_crash(entry, problem)
        self._log.error(
            "message_dead_lettered", id=entry.id, phone=entry.phone, attempts=entry.attempts + 1,
            problem=problem.fact, next="rfctl dead list",
        )  # fmt: skip

    def write_missing(self, entry_id: str) -> None:
        """Say that a message cannot be delivered, since it is no more."""
        self._log.error("message_missing", id=entry_id, why="somebody deleted it from the output stream")

    def write_queue_failed(self, entry: StreamEntry, problem: DeliveryError, failure: Exception) -> None:
        """Say that something else than the receiver ended the queue of a phone."""
        crash = None if isinstance(failure, RfctlError) else failure
        self._log.error("phone_queue_failed", id=entry.id, problem=problem.fact, exc_info=crash)

    def _write_crash(self, entry: StreamEntry, problem: DeliveryError) -> None:
        if isinstance(problem, SinkCrashedError):
            self._log.error("sink_crashed", id=entry.id, problem=problem.fact, exc_info=problem.__cause__)
