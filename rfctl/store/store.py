"""The one door to Redis: a connection, the keys of its shards, and a room for each thing that is kept there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from rfctl.store.address import RedisAddress
from rfctl.store.adoption import Strays
from rfctl.store.aliases import Aliases
from rfctl.store.aside import AsideBatches, read_aside
from rfctl.store.batches import Batches, BatchOptions
from rfctl.store.consumer_groups import ConsumerGroup
from rfctl.store.counters import Counters
from rfctl.store.daemons import Daemons
from rfctl.store.daemons_elsewhere import DaemonElsewhere, find_daemons_elsewhere
from rfctl.store.dead_letters import DeadLetters
from rfctl.store.delivered import Finished, find_finished
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.delivery_log import DeliveryLog
from rfctl.store.ended_sessions import EndedSessions
from rfctl.store.holds import Holds
from rfctl.store.keys import Keyspace, ShardKeys
from rfctl.store.layout import check_claimable_layout, check_layout, claim_layout, ensure_instance_id
from rfctl.store.orphaned_groups import OrphanedGroup, read_orphaned_groups
from rfctl.store.output_stream import OutputStream
from rfctl.store.paused_sinks import PausedSinks
from rfctl.store.pending import OLDEST_AMONG, PendingCounts, PendingSummary, read_counts, read_pending
from rfctl.store.pending_keys import PendingKeys
from rfctl.store.people import People
from rfctl.store.probe import MissingRight, check_key_types, find_missing_rights
from rfctl.store.quarantine import Quarantine
from rfctl.store.restarts import ServerRestart, notice_emptying, notice_restart, read_server_run
from rfctl.store.rights import Rights
from rfctl.store.scratch import ScratchKeyspace, delete_scratch_keys
from rfctl.store.server_info import ServerInfo, WriteRefusal
from rfctl.store.sink_status import ConfiguredSink, SinkStatus, read_sink_statuses
from rfctl.store.survey import Survey
from rfctl.store.sweep import Sweep
from rfctl.store.unread import UnreadStream, read_unread_stream

if TYPE_CHECKING:
    from rfctl.store.connection import Connection, OnFailure


class Store:
    """One Redis. Nothing is sent before the first call; every call raises RfctlError when Redis fails."""

    def __init__(
        self, connection: Connection, keyspace: Keyspace, batch_options: BatchOptions | None = None
    ) -> None:
        self._connection = connection
        self._keyspace = keyspace
        self._batch_options = batch_options or BatchOptions()
        self.asks_older_ids = False
        """Whether ids of layout 1 are still remembered, in its own sets."""

    @classmethod
    def open(
        cls,
        address: RedisAddress,
        keyspace: Keyspace,
        batch_options: BatchOptions | None = None,
        *,
        max_connections: int = 8,
        on_failure: OnFailure = lambda _: None,
    ) -> Store:
        """Return a store on sockets of its own. Raises SettingsError for an address that cannot be."""
        return cls(_connect(address, max_connections, on_failure=on_failure), keyspace, batch_options)

    def reconfigure(self, batch_options: BatchOptions) -> None:
        """Give the scripts about batches other options from now on."""
        self._batch_options = batch_options
        self.batches.reconfigure(batch_options)

    def reopen(self) -> Store:
        """Return another store on the same Redis, with sockets of its own."""
        return Store(self._connection.reopen(), self._keyspace, self._batch_options)

    @property
    def address(self) -> RedisAddress:
        """Where this Redis is, and who set it."""
        return self._connection.address

    @cached_property
    def shards(self) -> list[ShardKeys]:
        """The keys of every shard."""
        return self._keyspace.all()

    @cached_property
    def batches(self) -> Batches:
        """The pending batches."""
        return Batches(self._connection, self._keyspace, self._batch_options)

    @cached_property
    def holds(self) -> Holds:
        """The people whom somebody on our side talks to."""
        return Holds(self._connection, self.shards, self.batches)

    @cached_property
    def pending_keys(self) -> PendingKeys:
        """The keys of the pending batches."""
        return PendingKeys(self._connection, self.shards)

    @cached_property
    def output(self) -> OutputStream:
        """The output stream and its consumer groups."""
        return OutputStream(self._connection, self.shards)

    def deliveries(
        self, sink: str, shard: ShardKeys | None = None, writes_log: Callable[[], bool] = lambda: True
    ) -> DeliveryQueue:
        """Return the delivery queue of one sink on one shard, by default the first."""
        return DeliveryQueue(self._connection, shard or self.shards[0], sink, writes_log)

    @cached_property
    def paused_sinks(self) -> PausedSinks:
        """The sinks that deliver nothing until an operator resumes them."""
        return PausedSinks(self._connection, self.shards[0])

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The merged messages whose last delivery attempt failed."""
        return DeadLetters(self._connection, self.shards)

    @cached_property
    def delivery_log(self) -> DeliveryLog:
        """What became of each message before each sink."""
        return DeliveryLog(self._connection, self.shards)

    @cached_property
    def quarantine(self) -> Quarantine:
        """The authentic requests that their source could not read."""
        return Quarantine(self._connection, self._keyspace.common)

    @cached_property
    def ended_sessions(self) -> EndedSessions:
        """The sessions of the page that were ended before their time."""
        return EndedSessions(self._connection, self._keyspace.common)

    @cached_property
    def aliases(self) -> Aliases:
        """The second ids of people, and the phones that they lead to."""
        return Aliases(self._connection, self._keyspace.common)

    @cached_property
    def strays(self) -> Strays:
        """The lists that nobody hands over."""
        return Strays(self._connection, self._keyspace)

    @cached_property
    def people(self) -> People:
        """What is known of one person at a time."""
        return People(self._connection, self._keyspace, self.batches)

    @cached_property
    def daemons(self) -> Daemons:
        """The records of the daemons."""
        return Daemons(self._connection, self.shards[0])

    @cached_property
    def counters(self) -> Counters:
        """The counters that this process gathers."""
        return Counters(self._connection, self.shards[0])

    async def pending(self, *, limit: int = 20, oldest_among: int = OLDEST_AMONG) -> PendingSummary:
        """Return what is pending and what has been, as `read_pending` does."""
        return await read_pending(
            self._connection, self.shards, self.output, limit=limit, oldest_among=oldest_among
        )

    @cached_property
    def sweep(self) -> Sweep:
        """The sweep that compares lists and index."""
        return Sweep(self._connection, self._keyspace)

    @cached_property
    def survey(self) -> Survey:
        """What takes long to find out, and is read when an operator asks."""
        return Survey(self._connection, self._keyspace)

    async def batches_aside(self) -> AsideBatches:
        """Return the batches that could not be handed over, and are tried again."""
        return await read_aside(self._connection, self.shards)

    async def pending_counts(self, *, limit: int = 10) -> PendingCounts:
        """Return what is pending without a look at any message, and the `limit` batches that are due soonest."""
        return await read_counts(self._connection, self.shards, limit=limit)

    async def sink_statuses(
        self, sinks: Sequence[ConfiguredSink], pending: PendingSummary
    ) -> list[SinkStatus]:
        """Return the status of every sink, over all shards; `pending` has the counters and the groups."""
        paused = await self.paused_sinks.list() if sinks else {}
        return await read_sink_statuses(self._connection, self.shards, sinks, pending, paused)

    async def orphaned_groups(
        self, sinks: Sequence[ConfiguredSink], groups: Sequence[ConsumerGroup]
    ) -> list[OrphanedGroup]:
        """Return the consumer groups of sinks that are not in the settings."""
        return await read_orphaned_groups(self._connection, self.shards, groups, sinks)

    async def find_finished(self, sink: str, since_ms: int, until_ms: int) -> list[Finished]:
        """Return what a sink has finished between two times (Unix ms), on each shard."""
        return await find_finished(self._connection, self.shards, sink, since_ms, until_ms)

    async def read_unread_stream(self) -> UnreadStream:
        """Return how much is in the output stream, for a stream that nobody reads."""
        return await read_unread_stream(self._connection, self.shards)

    async def find_daemons_elsewhere(self) -> list[DaemonElsewhere]:
        """Return the living daemons in other databases of this server, and under other prefixes."""
        return await find_daemons_elsewhere(_connect(self.address, max_connections=1), self._keyspace.prefix)

    async def server_info(self) -> ServerInfo:
        """Return which Redis this is."""
        return await self._connection.read_server_info()

    async def write_refusals(self) -> list[WriteRefusal]:
        """Return why this Redis refuses writes now, without trying one."""
        return await self._connection.read_write_refusals()

    async def now_ms(self) -> int:
        """Return the time by the clock of Redis, Unix ms."""
        return await self._connection.now_ms(self.shards[0])

    async def ensure_instance_id(self) -> str:
        """Return the instance id of this Redis; the first call makes it."""
        return await ensure_instance_id(self._connection, self._keyspace.common)

    async def check_layout(self) -> None:
        """Check that this Redis is laid out as our settings say. Raises OtherLayoutError."""
        await check_layout(self._connection, self._keyspace)

    async def check_claimable_layout(self) -> None:
        """Check what `claim_layout` would refuse, and write nothing. Raises as that."""
        await check_claimable_layout(self._connection, self._keyspace)

    async def claim_layout(self) -> None:
        """Write the layout down at the first start, and take older data along. Raises RfctlError when it cannot."""
        await claim_layout(self._connection, self._keyspace)
        self.asks_older_ids = bool(await self._connection.call("HEXISTS", self.shards[0].ids, "older"))

    async def load_scripts(self) -> None:
        """Load every script, so that one that the server does not take is seen before a message needs it."""
        await self._connection.load_scripts()

    async def find_missing_rights(self, rights: Rights) -> list[MissingRight]:
        """Return which of these rights our user lacks, as far as Redis tells."""
        return await find_missing_rights(self._connection, rights)

    async def check_key_types(self, sinks: Sequence[str] = (), shard: ShardKeys | None = None) -> None:
        """Check the kind of value of each key, of one shard or of all. Raises KeyTakenError."""
        for checked in self.shards if shard is None else [shard]:
            await check_key_types(self._connection, checked, sinks)

    async def notice_emptying(self) -> bool:
        """Lay this Redis out again if somebody has emptied it. Returns whether this call did so, and counts it."""
        return await notice_emptying(self._connection, self._keyspace)

    async def read_server_run(self) -> str:
        """Return the run id of the server when a daemon last looked, "" before the first time."""
        return await read_server_run(self._connection, self._keyspace.common)

    async def notice_restart(self, server: ServerInfo) -> ServerRestart | None:
        """Return whether Redis has started since the last call of any daemon, and rewrite its file where that helps."""
        return await notice_restart(self._connection, self._keyspace.common, server)

    @property
    def db(self) -> int:
        """The number of the database."""
        return self._connection.db

    def open_scratch(self, name: str, shard: ShardKeys) -> Store:
        """Return a store on the same sockets and shard, whose keys are apart from all others. It goes by the same clock."""
        keyspace = ScratchKeyspace.beside(shard, name)
        return Store(self._connection, keyspace, self._batch_options)

    async def delete_scratch(self, sink: str, batch_keys: Sequence[str]) -> None:
        """Delete the keys of a scratch store, with those of a sink and of some batches."""
        await delete_scratch_keys(self._connection, self.shards[0], sink, batch_keys)

    def events(self, subscribed: asyncio.Event | None = None) -> AsyncIterator[bytes]:
        """Yield the events that the scripts publish, as JSON; `subscribed` is set once none can be missed."""
        channel = self._keyspace.common.events_channel(self._connection.db)
        return self._connection.follow_channel(channel, subscribed)

    async def close(self) -> None:
        """Close every socket."""
        await self._connection.close()


def _connect(
    address: RedisAddress, max_connections: int = 8, on_failure: OnFailure = lambda _: None
) -> Connection:
    from rfctl.store.connection import Connection  # noqa: PLC0415 - redis-py is imported when it is needed

    return Connection.open(address, max_connections=max_connections, on_failure=on_failure)
