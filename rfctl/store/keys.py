"""The name of every key in Redis.

A phone is whatever a stranger sent. It must not name a key of ours, break out of a cluster's hash tag or act as a
pattern. A plain phone stands in its keys as it is, any other as a hash: `#` and 32 hex digits. A batch of a group,
an account or a company has `&` and 32 hex digits. Neither sign is plain, so the three forms never collide. The
message itself has the phone.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9._+@-]{1,64}")
DAEMONS = "rfctl:daemons"
SHARDS = "rfctl:shards"
"""The number of shards that this Redis is laid out for."""
INSTANCE_ID = "rfctl:id"
"""A random name of this Redis, by which its jobs differ from those of another rfctl in the same queue."""
QUARANTINE = "rfctl:quarantine"
"""Stream of authentic requests that their source could not read."""
PAUSED = "rfctl:paused"
"""Hash of the sinks that an operator or a receiver paused: name → why, as JSON."""
DEFAULT_STREAM = "rfctl:out"
RESERVED_PREFIXES = ("rapid-fire:", "last-msg:", "rfctl:")


def is_plain(phone: str) -> bool:
    """Say whether a phone stands in its keys as it is."""
    return _PLAIN.fullmatch(phone) is not None


def batch_key_of(phone: str, *, chat: str = "", account: str = "", company: str = "") -> str:
    """Return the key of a batch: it stands for the batch in Redis keys and in the index.

    `chat` is the group or thread, "" in a one-to-one chat. `account` and `company` are "" unless the settings keep
    batches apart by them.
    """
    if chat or account or company:
        return "&" + _digest(json.dumps([phone, chat, account, company]))
    return phone if is_plain(phone) else "#" + _digest(phone)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def is_hashed(batch_key: str) -> bool:
    """Say whether a batch key is a hash; then only the messages have the phone."""
    return batch_key.startswith(("#", "&"))


def dedupe_key(batch_key: str, *scope: str) -> bytes:
    """Return the 16 bytes by which an id is remembered. `scope` is whose id it is, and last the id itself.

    In a wider scope, a tenant that counts its ids ("1", "2", …) would suppress the messages of another.
    """
    text = "\0".join((batch_key, *scope))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def alias_key(channel: str, alias: str) -> str:
    """Return the key that has the phone of a sender's second id. It has no shard."""
    return "rfctl:alias:" + _digest(json.dumps([channel, alias]))


@dataclass(frozen=True, slots=True)
class ShardKeys:
    """The keys of one shard, which share a slot. `tag` is "" on one server, else "{n}:"."""

    tag: str
    stream: str

    def _tagged(self, key: str) -> str:
        if not self.tag:
            return key
        head, colon, rest = key.partition(":")
        return f"{head}:{self.tag}{rest}" if colon else f"{key}:{self.tag[:-1]}"

    @property
    def number(self) -> str:
        """The shard's number, "" on one server."""
        return self.tag[1:-2]

    @property
    def batch_prefix(self) -> str:
        """`rapid-fire:<batch key>` is the list of pending messages."""
        return self._tagged("rapid-fire:")

    @property
    def last_prefix(self) -> str:
        """`last-msg:<batch key>` is the time of the last message. It expires, and has no message in it."""
        return self._tagged("last-msg:")

    @property
    def seen_prefix(self) -> str:
        """`rfctl:seen:<window>:<n>` are the sets of ids seen. They expire, and have no message in them."""
        return self._tagged("rfctl:seen:")

    @property
    def due(self) -> str:
        """The index: batch key → due, Unix ms."""
        return self._tagged("rfctl:due")

    @property
    def totals(self) -> str:
        """The counters that outlive daemons."""
        return self._tagged("rfctl:totals")

    @property
    def last_times(self) -> str:
        """Hash of when something was last counted: its name in the totals → Unix ms. The first shard has it."""
        return self._tagged("rfctl:last")

    @property
    def out(self) -> str:
        """The stream of merged messages."""
        return self._tagged(self.stream)

    @property
    def dead(self) -> str:
        """The stream of dead letters."""
        return self._tagged("rfctl:dead")

    def sink(self, name: str) -> SinkKeys:
        """Return the keys of one sink."""
        return SinkKeys(self._tagged(f"rfctl:sink:{name}"))

    def destination(self, key: str) -> str:
        """Return the key of a list or stream that a sink fills, in this shard's slot."""
        return self._tagged(key)


@dataclass(frozen=True, slots=True)
class SinkKeys:
    """The keys of one sink on one shard. Only the lease expires."""

    prefix: str

    @property
    def waiting(self) -> str:
        """Sorted set without scores of `batch key NUL id`: what waits for another attempt, and all behind it."""
        return f"{self.prefix}:waiting"

    @property
    def retry(self) -> str:
        """Sorted set, batch key → when its first waiting message is due (Unix ms)."""
        return f"{self.prefix}:retry"

    @property
    def attempts(self) -> str:
        """Hash, id → JSON array of the attempts so far."""
        return f"{self.prefix}:tries"

    @property
    def bodies(self) -> str:
        """Hash, id → the message as a JSON array of fields: what an operator sends again."""
        return f"{self.prefix}:bodies"

    @property
    def lease(self) -> str:
        """Which daemon delivers now. It expires, and has no message in it."""
        return f"{self.prefix}:lease"


@dataclass(frozen=True, slots=True)
class Keyspace:
    """All shards, and which of them has a batch. `shards` 0 is one server without tags."""

    shards: int = 0
    stream: str = DEFAULT_STREAM

    def all(self) -> list[ShardKeys]:
        """Return every shard; there is always at least one."""
        if not self.shards:
            return [ShardKeys("", self.stream)]
        return [ShardKeys(f"{{{n}}}:", self.stream) for n in range(self.shards)]

    def index_of(self, batch_key: str) -> int:
        """Return the index in `all()` of the shard that has a batch: crc16 of its key, mod `shards`."""
        return binascii.crc_hqx(batch_key.encode(), 0) % self.shards if self.shards else 0


def events_channel(db: int) -> str:
    """Return the channel that `tail` follows. Channels span a server's databases; ours must not."""
    return f"rfctl:events:{db}"
