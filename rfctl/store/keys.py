"""The name of every key in Redis. Behind its prefix and its tag stands a batch key (batch_keys.py)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property

from rfctl.model.slots import crc16, shard_tags, tag_key
from rfctl.store.batch_keys import digest_text
from rfctl.store.worker_keys import WorkerKeys

DEFAULT_STREAM = "rfctl:out"
LAYOUT_VERSION = 2
"""The version of the layout that this code reads and writes."""
RESERVED_PREFIXES = ("rapid-fire:", "last-msg:", "rfctl:")


@dataclass(frozen=True, slots=True)
class CommonKeys:
    """The keys that no shard has: there is one of each in a Redis. `prefix` stands before all names of rfctl's own."""

    prefix: str = ""

    @property
    def daemons(self) -> str:
        """Hash of the daemons' records: id → JSON."""
        return f"{self.prefix}rfctl:daemons"

    @property
    def layout(self) -> str:
        """The number of shards that this Redis is laid out for, a slash, and the version of the layout."""
        return f"{self.prefix}rfctl:shards"

    @property
    def stream_name(self) -> str:
        """The name of the output stream that this Redis was begun with."""
        return f"{self.prefix}rfctl:stream"

    @property
    def instance_id(self) -> str:
        """A random name of this Redis, by which its jobs differ from those of another rfctl in the same queue."""
        return f"{self.prefix}rfctl:id"

    @property
    def server_run(self) -> str:
        """The run id of the server when a daemon last looked: another one means that Redis has started again."""
        return f"{self.prefix}rfctl:run"

    @property
    def quarantine(self) -> str:
        """Stream of authentic requests that their source could not read."""
        return f"{self.prefix}rfctl:quarantine"

    @property
    def paused(self) -> str:
        """Hash of the sinks that an operator or a receiver paused: name → why, as JSON."""
        return f"{self.prefix}rfctl:paused"

    @property
    def sweep(self) -> str:
        """Hash of what the last sweep found: its time, and what an operator should know of."""
        return f"{self.prefix}rfctl:sweep"

    @property
    def sweep_lease(self) -> str:
        """Which daemon sweeps now. It expires, and has no message in it."""
        return f"{self.prefix}rfctl:sweep:lease"

    def alias(self, channel: str, alias: str) -> str:
        """Return the key that has the phone of a sender's second id."""
        return f"{self.prefix}rfctl:alias:" + digest_text(json.dumps([channel, alias]))

    def alias_owner(self, channel: str, phone: str, kind: str) -> str:
        """Return the key that has the second id, of one kind, by which a phone was named last."""
        return f"{self.prefix}rfctl:alias:" + digest_text(json.dumps([channel, phone, kind, "owner"]))

    @property
    def any_alias(self) -> str:
        """The pattern of all keys of second ids."""
        return re.sub(r"([\[\]?*\\])", r"\\\1", self.prefix) + "rfctl:alias:*"

    @property
    def logout_prefix(self) -> str:
        """`rfctl:logout:<id>` says that somebody logged out of the page. It expires after that session's time."""
        return f"{self.prefix}rfctl:logout:"

    def events_channel(self, db: int) -> str:
        """Return the channel that `tail` follows. Channels span a server's databases; ours must not."""
        return f"{self.prefix}rfctl:events:{db}"


@dataclass(frozen=True)
class ShardKeys:
    """The keys of one shard, which share a slot.

    `tag` is "" on one server, else `{n}:`. `number` is the shard's number, "" on one server. `prefix` stands before all
    names but those of the output stream and of sinks' destinations. A name is built when it is first asked for, and kept:
    each call to Redis has some.
    """

    tag: str
    stream: str
    prefix: str = ""
    number: str = ""

    def _tagged(self, key: str) -> str:
        return tag_key(key, self.tag)

    def _own(self, key: str) -> str:
        return self.prefix + self._tagged(key)

    @cached_property
    def common(self) -> CommonKeys:
        """The keys that no shard has."""
        return CommonKeys(self.prefix)

    @cached_property
    def clock(self) -> str:
        """Hash of the steady clock: `step` is how far the server's clock is ahead of it, `seen` its latest time (ms)."""
        return self._own("rfctl:clock")

    @cached_property
    def batch_prefix(self) -> str:
        """`rapid-fire:<batch key>` is the list of pending messages."""
        return self._own("rapid-fire:")

    @cached_property
    def last_prefix(self) -> str:
        """`last-msg:<batch key>` is the time of the last message. It expires, and has no message in it."""
        return self._own("last-msg:")

    @cached_property
    def seen_prefix(self) -> str:
        """`rfctl:seen:<window>:<n>` are the sets of ids of layout 1. They expire, and have no message in them."""
        return self._own("rfctl:seen:")

    @cached_property
    def ids(self) -> str:
        """Hash of the segments of ids seen, by window (s), and of plans; `…:<window>:<segment>:<part>` are sets of ids."""
        return self._own("rfctl:ids")

    @cached_property
    def phones(self) -> str:
        """Sorted set without scores of `phone NUL batch key`: the batches whose key does not follow from a phone alone."""
        return self._own("rfctl:phones")

    @cached_property
    def set_aside(self) -> str:
        """Hash of the batches that could not be handed over: batch key → why, as JSON."""
        return self._own("rfctl:set-aside")

    @cached_property
    def held(self) -> str:
        """Sorted set, batch key → until when it is held (Unix ms, steady). `…:notes` is a hash: batch key → why, JSON."""
        return self._own("rfctl:held")

    @cached_property
    def held_notes(self) -> str:
        """Hash of why batches are held: batch key → JSON."""
        return self.held + ":notes"

    @cached_property
    def due(self) -> str:
        """The index: batch key → due, Unix ms."""
        return self._own("rfctl:due")

    @cached_property
    def of_batches(self) -> list[str]:
        """The first keys of each script about batches, in its order."""
        return [self.due, self.out, self.totals, self.phones, self.set_aside, self.held]

    @cached_property
    def totals(self) -> str:
        """The counters that outlive daemons."""
        return self._own("rfctl:totals")

    @cached_property
    def last_times(self) -> str:
        """Hash of when something was last counted: its name in the totals → Unix ms. The first shard has it."""
        return self._own("rfctl:last")

    @cached_property
    def out(self) -> str:
        """The stream of merged messages."""
        return self._tagged(self.stream)

    @cached_property
    def dead(self) -> str:
        """The stream of dead letters."""
        return self._own("rfctl:dead")

    @cached_property
    def log(self) -> str:
        """The delivery log: a stream of outcomes, which has phones and no texts."""
        return self._own("rfctl:log")

    def sink(self, name: str) -> SinkKeys:
        """Return the keys of one sink."""
        sinks = self._sinks
        if name not in sinks:
            sinks[name] = SinkKeys(self._own(f"rfctl:sink:{name}"))
        return sinks[name]

    @cached_property
    def _sinks(self) -> dict[str, SinkKeys]:
        """The keys of each sink that was asked for: as many as there are sinks."""
        return {}

    def worker(self, group: str) -> WorkerKeys:
        """Return the keys of a group of workers (`rfctl.worker`)."""
        return WorkerKeys(self._own(f"rfctl:worker:{group}"))

    def destination(self, key: str) -> str:
        """Return the key of a list or stream that a sink fills, in this shard's slot."""
        return self._tagged(key)


@dataclass(frozen=True)
class SinkKeys:
    """The keys of one sink on one shard. None of them expires."""

    prefix: str

    @cached_property
    def waiting(self) -> str:
        """Sorted set without scores of `batch key NUL id`: what waits for another attempt, and all behind it."""
        return f"{self.prefix}:waiting"

    @cached_property
    def retry(self) -> str:
        """Sorted set, batch key → when its first waiting message is due (Unix ms)."""
        return f"{self.prefix}:retry"

    @cached_property
    def attempts(self) -> str:
        """Hash, id → JSON array of the attempts so far."""
        return f"{self.prefix}:tries"

    @cached_property
    def bodies(self) -> str:
        """Hash, id → the message as a JSON array of fields: what an operator sends again."""
        return f"{self.prefix}:bodies"

    @cached_property
    def lease(self) -> str:
        """Which daemon delivers now, and until when: `id ms`, by the steady clock. It has no message in it."""
        return f"{self.prefix}:lease"

    @cached_property
    def progress(self) -> str:
        """Hash: when an attempt ended last (`ended_ms`) and a message was missing (`missing_ms`), steady ms.

        `pause` is the last request of a receiver for a pause: who asked, and its number.
        """
        return f"{self.prefix}:progress"

    @property
    def all(self) -> list[str]:
        """Every key of the sink."""
        return [self.waiting, self.retry, self.attempts, self.bodies, self.lease, self.progress]


@dataclass(frozen=True, slots=True)
class Keyspace:
    """All keys of rfctl in one Redis, and which shard has a batch.

    `shards` 0 is one server without tags. `stream` is the output stream, "" for the default. `prefix` stands before
    all names of rfctl's own, so that several of them share a Redis.
    """

    shards: int = 0
    stream: str = ""
    prefix: str = ""

    @property
    def common(self) -> CommonKeys:
        """The keys that no shard has."""
        return CommonKeys(self.prefix)

    @property
    def output_stream(self) -> str:
        """The output stream's name, without a shard's tag."""
        return self.stream or self.prefix + DEFAULT_STREAM

    def all(self) -> list[ShardKeys]:
        """Return every shard; there is always at least one."""
        if not self.shards:
            return [ShardKeys("", self.output_stream, self.prefix)]
        return [
            ShardKeys(f"{{{tag}}}:", self.output_stream, self.prefix, str(place))
            for place, tag in enumerate(shard_tags(self.shards))
        ]

    def index_of(self, batch_key: str) -> int:
        """Return the index in `all()` of the shard that has a batch: crc16 of its key, mod `shards`."""
        return crc16(batch_key) % self.shards if self.shards else 0
