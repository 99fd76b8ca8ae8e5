"""Everything that speaks to Redis, behind one door: `Store`. redis-py is imported when the first store is opened."""

from rfctl.store.address import RedisAddress
from rfctl.store.aside import AsideBatch, AsideBatches
from rfctl.store.batch_keys import batch_key_of, dedupe_key, digest_id, is_hashed
from rfctl.store.batches import Addition, BatchOptions
from rfctl.store.daemons import DaemonRecord, Daemons, RecentRequests
from rfctl.store.daemons_elsewhere import DaemonElsewhere
from rfctl.store.dead_letters import Attempt, DeadLetter
from rfctl.store.deliveries import DeliveryQueue, SinkPausedError, group_name
from rfctl.store.keys import LAYOUT_VERSION, Keyspace, ShardKeys
from rfctl.store.orphaned_groups import OrphanedGroup
from rfctl.store.output_stream import ConsumerGroup
from rfctl.store.paused_sinks import Pause
from rfctl.store.pending import PendingBatch, PendingSummary
from rfctl.store.person import Person, UnreadMessage
from rfctl.store.quarantine import QuarantinedHead, QuarantinedRequest
from rfctl.store.retry_queue import RetryCause
from rfctl.store.server_facts import ServerFacts
from rfctl.store.server_info import ServerInfo, WriteRefusal
from rfctl.store.shared_calls import SharedCalls
from rfctl.store.sink_status import ConfiguredSink, SinkStatus
from rfctl.store.store import Store
from rfctl.store.stray_keys import StrayKeys, StrayList, StraySink
from rfctl.store.stream_entry import StreamEntry
from rfctl.store.sweep import SweepReport
from rfctl.store.whereabouts import UndeliveredMessage, Whereabouts
from rfctl.store.worker_entries import WorkerEntry

__all__ = [
    "LAYOUT_VERSION",
    "Addition",
    "AsideBatch",
    "AsideBatches",
    "Attempt",
    "BatchOptions",
    "ConfiguredSink",
    "ConsumerGroup",
    "DaemonElsewhere",
    "DaemonRecord",
    "Daemons",
    "DeadLetter",
    "DeliveryQueue",
    "Keyspace",
    "OrphanedGroup",
    "Pause",
    "PendingBatch",
    "PendingSummary",
    "Person",
    "QuarantinedHead",
    "QuarantinedRequest",
    "RecentRequests",
    "RedisAddress",
    "RetryCause",
    "ServerFacts",
    "ServerInfo",
    "ShardKeys",
    "SharedCalls",
    "SinkPausedError",
    "SinkStatus",
    "Store",
    "StrayKeys",
    "StrayList",
    "StraySink",
    "StreamEntry",
    "SweepReport",
    "UndeliveredMessage",
    "UnreadMessage",
    "Whereabouts",
    "WorkerEntry",
    "WriteRefusal",
    "batch_key_of",
    "dedupe_key",
    "digest_id",
    "group_name",
    "is_hashed",
]
