"""Every key, spelled once.

A phone is whatever a stranger sent. It must not name a key of ours, break out of a cluster's hash tag or
act as a pattern: plain ones stand in the key as they are, any other as a hash (`#` and 32 hex digits; `#`
is not plain, so the two can never meet), and the message itself carries the original.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9._+@-]{1,64}")
DAEMONS = "rfctl:daemons"
SHARDS = "rfctl:shards"
"""The number of shards that this Redis is laid out for."""
DEFAULT_STREAM = "rfctl:out"
RESERVED_PREFIXES = ("rapid-fire:", "last-msg:", "rfctl:")


def is_plain(phone: str) -> bool:
    """Say whether a phone stands in its keys as it is."""
    return _PLAIN.fullmatch(phone) is not None


def name_of(phone: str) -> str:
    """Return what stands for this phone in keys and in the index."""
    if is_plain(phone):
        return phone
    return "#" + hashlib.sha256(phone.encode(errors="surrogatepass")).hexdigest()[:32]


def seen_mark(name: str, company: str | None, message_id: str) -> bytes:
    """Return the 16 bytes by which an id is remembered: one sender's, to one company.

    Wider would let one tenant's counter ("1", "2", …) swallow another's messages.
    """
    scope = f"{name}\0{company or ''}\0{message_id}"
    return hashlib.blake2b(scope.encode(errors="surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Partition:
    """The keys of one shard (`tag` is "" on one server, else "{n}:"): one script's keys share a slot."""

    tag: str
    stream: str

    def _tagged(self, key: str) -> str:
        if not self.tag:
            return key
        head, colon, rest = key.partition(":")
        return f"{head}:{self.tag}{rest}" if colon else f"{key}:{self.tag[:-1]}"

    @property
    def batch_prefix(self) -> str:
        """`rapid-fire:<name>` is the list of pending messages."""
        return self._tagged("rapid-fire:")

    @property
    def last_prefix(self) -> str:
        """`last-msg:<name>` is the time of the last message; expires, holds no message."""
        return self._tagged("last-msg:")

    @property
    def seen_prefix(self) -> str:
        """`rfctl:seen:<window>:<n>` are the sets of ids seen; they expire, and hold no message."""
        return self._tagged("rfctl:seen:")

    @property
    def due(self) -> str:
        """Return the index: name → due, Unix ms."""
        return self._tagged("rfctl:due")

    @property
    def totals(self) -> str:
        """Return the counters that outlive daemons."""
        return self._tagged("rfctl:totals")

    @property
    def out(self) -> str:
        """Return the stream of merged messages."""
        return self._tagged(self.stream)


@dataclass(frozen=True, slots=True)
class Keyspace:
    """All partitions, and which one a phone is in. `shards` 0 is one server without tags."""

    shards: int = 0
    stream: str = DEFAULT_STREAM

    def partitions(self) -> list[Partition]:
        """Return every partition; there is always at least one."""
        if not self.shards:
            return [Partition("", self.stream)]
        return [Partition(f"{{{n}}}:", self.stream) for n in range(self.shards)]

    def index_of(self, name: str) -> int:
        """Return the number of the partition that a name belongs to: crc16 mod shards."""
        return binascii.crc_hqx(name.encode(), 0) % self.shards if self.shards else 0


def events_channel(db: int) -> str:
    """Return the channel that `tail` follows. Channels span a server's databases; ours must not."""
    return f"rfctl:events:{db}"
