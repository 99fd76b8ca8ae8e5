"""The log line `stats_reported`, at regular intervals."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from rfctl.errors import RfctlError
from rfctl.store import Store
from rfctl.timing import sleep_or_stop

_log = structlog.get_logger("daemon")
_MAX_BATCHES = 10


async def log_stats(store: Store, every_s: float, stopping: asyncio.Event) -> None:
    """Log what is pending every `every_s` seconds, until `stopping` is set. A failure of Redis leaves one line out."""
    await sleep_or_stop(stopping, every_s)
    while not stopping.is_set():
        with contextlib.suppress(RfctlError):
            counts = await store.pending_counts(limit=_MAX_BATCHES)
            _log.info(
                "stats_reported", batches=counts.batches, messages=counts.messages, totals=counts.totals,
                pending=[
                    {"phone": batch_key, "size": size, "due_in_ms": due_in_ms}
                    for batch_key, size, due_in_ms in counts.next_due
                ],
            )  # fmt: skip
        await sleep_or_stop(stopping, every_s)
