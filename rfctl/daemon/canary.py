"""The canary: a message of our own that goes all the way, on keys of its own, for as long as the daemon runs.

It is stored, handed over, read under a lease and acknowledged by the scripts that carry every message. So what refuses
a message refuses the canary: a full memory, a replica, a script that is denied. The keys of real messages are only
looked at: whether our user may use them, and whether each holds its own kind of value.
"""

from __future__ import annotations

from collections.abc import Sequence

from rfctl.batching import Batcher, BatchingRules, Policy, Timers
from rfctl.daemon.preflight import Preflight, check_needed_rights
from rfctl.errors import CanaryError, GroupMissingError
from rfctl.model.message import Message
from rfctl.store import DeliveryQueue, ShardKeys, Store
from rfctl.store.probe import MissingRight

_PHONE = _SOURCE = _SINK = "canary"
_MINUTE_MS = 60_000
_LEASE_MS = 10_000
_RULES = BatchingRules(Policy(Timers(_MINUTE_MS, 10, _MINUTE_MS), ()), dedupe_s=1)


class Canary:
    """The canary of one daemon. Each round is on another shard, in turn. `sinks` are the names of the sinks."""

    def __init__(self, store: Store, daemon_id: str, preflight: Preflight, sinks: Sequence[str]) -> None:
        self._store = store
        self._daemon_id = daemon_id
        self._preflight = preflight
        self._sinks = sinks
        self._rounds = 0
        self._open: set[str] = set()

    def reconfigure(self, sinks: Sequence[str]) -> None:
        """Look at the keys of other sinks from now on."""
        self._sinks = sinks

    async def run_round(self) -> list[MissingRight]:
        """Send one message all the way, and look at the keys of real messages. Raises RfctlError when it cannot go.

        Returns the rights that our user lacks, and that no message depends on.
        """
        shard = self._store.shards[self._rounds % len(self._store.shards)]
        self._rounds += 1
        missing = await self._preflight.find_missing_rights()
        check_needed_rights(self._store, missing)
        await self._store.check_key_types(self._sinks, shard)
        scratch = self._open_scratch(self._daemon_id, shard)
        await self._send(scratch)
        await self._receive(scratch, shard)
        await scratch.output.trim(retention_s=0, retention_entries=0)
        return missing

    def _open_scratch(self, daemon_id: str, shard: ShardKeys) -> Store:
        return self._store.open_scratch(f"canary:{daemon_id}", shard)

    async def _send(self, scratch: Store) -> None:
        message = Message(phone=_PHONE, text=_PHONE, id=str(self._rounds), channel=_SOURCE, simulated=True)
        [added] = await Batcher(scratch, _RULES).add([message])
        handed_over = await scratch.batches.drain("flush")
        if not (added.added and handed_over.batches):
            raise CanaryError("a message that was stored on keys of its own was not handed over")

    async def _receive(self, scratch: Store, shard: ShardKeys) -> None:
        queue = scratch.deliveries(_SINK, writes_log=lambda: False)
        if shard.number not in self._open:
            await queue.open()
            self._open.add(shard.number)
        try:
            count = await self._deliver(queue)
        except GroupMissingError:  # somebody has emptied this Redis
            await queue.open()
            count = await self._deliver(queue)
        if not count:
            raise CanaryError("a message that was handed over on keys of its own could not be read")

    async def _deliver(self, queue: DeliveryQueue) -> int:
        """Acknowledge what is there; returns how many messages."""
        if not await queue.lease(self._daemon_id, _LEASE_MS):
            raise CanaryError("another daemon has the lease of this daemon's own canary")
        entries = await queue.read_new(10, 1, self._daemon_id) or []
        for entry in entries:
            await queue.acknowledge(entry.batch_key, entry.id)
        return len(entries)

    async def forget(self, daemon_id: str) -> None:
        """Delete the keys of a daemon's canary: this one's at its end, or those of one that has died. Raises RfctlError."""
        for shard in self._store.shards:
            await self._open_scratch(daemon_id, shard).delete_scratch(_SINK, [_PHONE])
