"""Everything that speaks to Redis, behind one door: `Store`. redis-py is imported when the first store is opened."""

from rfctl.store.additions import Addition, Terms
from rfctl.store.address import RedisAddress
from rfctl.store.adoption import Adoption, find_home
from rfctl.store.aside import AsideBatch, AsideBatches
from rfctl.store.attempts import LastAttempt
from rfctl.store.batch_keys import batch_key_of, begin_digest, dedupe_key, end_digest, is_hashed
from rfctl.store.batch_measures import BatchMeasures
from rfctl.store.batches import BatchOptions
from rfctl.store.consumer_groups import ConsumerGroup, group_name
from rfctl.store.daemons import DaemonRecord, Daemons, RecentRequests, UnknownPath
from rfctl.store.daemons_elsewhere import DaemonElsewhere
from rfctl.store.dead_letters import Attempt, DeadLetter
from rfctl.store.delivered import Finished
from rfctl.store.deliveries import DeliveryQueue
from rfctl.store.delivery_log import DeliveryOutcome, LoggedDelivery
from rfctl.store.forgetting import Forgetting, Forgotten
from rfctl.store.history import HandedMessage, History
from rfctl.store.keys import LAYOUT_VERSION, Keyspace, ShardKeys
from rfctl.store.orphaned_groups import OrphanedGroup
from rfctl.store.paused_sinks import Pause, SinkPausedError
from rfctl.store.pending import PendingBatch, PendingSummary
from rfctl.store.person import Person, UnreadMessage
from rfctl.store.quarantine import QuarantinedHead, QuarantinedRequest
from rfctl.store.recent_totals import TotalsSample
from rfctl.store.retry_queue import RetryCause
from rfctl.store.server_facts import ServerFacts
from rfctl.store.server_info import ServerInfo, WriteRefusal
from rfctl.store.shared_calls import SharedCalls
from rfctl.store.sink_status import ConfiguredSink, SinkStatus
from rfctl.store.store import Store
from rfctl.store.stray_keys import StrayKeys, StrayList
from rfctl.store.stray_owners import StrayGroup, StraySink
from rfctl.store.stream_entry import StreamEntry
from rfctl.store.sweep import SweepReport
from rfctl.store.whereabouts import UndeliveredMessage, Whereabouts
from rfctl.store.worker_entries import WorkerEntry

__all__ = [
    "LAYOUT_VERSION",
    "Addition",
    "Adoption",
    "AsideBatch",
    "AsideBatches",
    "Attempt",
    "BatchMeasures",
    "BatchOptions",
    "ConfiguredSink",
    "ConsumerGroup",
    "DaemonElsewhere",
    "DaemonRecord",
    "Daemons",
    "DeadLetter",
    "DeliveryOutcome",
    "DeliveryQueue",
    "Finished",
    "Forgetting",
    "Forgotten",
    "HandedMessage",
    "History",
    "Keyspace",
    "LastAttempt",
    "LoggedDelivery",
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
    "StrayGroup",
    "StrayKeys",
    "StrayList",
    "StraySink",
    "StreamEntry",
    "SweepReport",
    "Terms",
    "TotalsSample",
    "UndeliveredMessage",
    "UnknownPath",
    "UnreadMessage",
    "Whereabouts",
    "WorkerEntry",
    "WriteRefusal",
    "batch_key_of",
    "begin_digest",
    "dedupe_key",
    "end_digest",
    "find_home",
    "group_name",
    "is_hashed",
]
