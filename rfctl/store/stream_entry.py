"""An entry of the output stream on its way to a sink, and the forms of its id."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rfctl.model.delivery import Delivery, build_message_id
from rfctl.model.stored import Merged, decode_merged
from rfctl.store import replies
from rfctl.store.batch_keys import batch_key_of, is_batch_key

_ID = re.compile(r"(\d{1,20}-\d{1,20})(?:-(\d{1,4}))?", re.ASCII)


@dataclass(frozen=True)
class StreamEntry:
    """One merged message on its way to a sink. `fields` are flat, and None when somebody deleted it from the stream.

    `id` is the stream's, `shard` the number of its shard or "", `attempts` counts the attempts before. `queue` is the
    batch key under which it waits, if it was read from there.
    """

    id: str
    fields: list[bytes] | None
    shard: str = ""
    attempts: int = 0
    queue: str = ""

    @cached_property
    def size(self) -> int:
        """How many bytes its fields have."""
        return sum(map(len, self.fields or ()))

    @cached_property
    def _values(self) -> dict[str, bytes]:
        """The fields by name; of a name that comes twice the last counts."""
        flat = self.fields or []
        names = (name.decode(errors="replace") for name in flat[::2])
        return dict(zip(names, flat[1::2], strict=False))

    @cached_property
    def merged(self) -> Merged:
        """The message; without fields it is empty."""
        return decode_merged(self.id, self._values)

    @cached_property
    def phone(self) -> str:
        """The sender's phone, read without the other fields: another program may have written them."""
        return replies.text(self._values.get("phone"))

    @cached_property
    def batch_key(self) -> str:
        """The key of its batch and of its queue: merged messages of one batch key leave one after another.

        An entry of layout 1 does not have it. There all batches of a phone were one queue.
        """
        if self.queue:
            return self.queue
        written = replies.text(self._values.get("batch_key"))
        return written if is_batch_key(written) else batch_key_of(written or self.phone)

    @property
    def message_id(self) -> str:
        """The id by which an operator names it: its entry's id, with the shard behind it."""
        return build_message_id(self.id, self.shard)

    @property
    def delivery_id(self) -> str:
        """The id by which receivers know it. It follows from its messages, so that it is the same after a failover."""
        return replies.text(self._values.get("delivery_id")) or self.message_id

    def to_delivery(self, instance_id: str = "") -> Delivery:
        """Return the next attempt for a sink. Its id is the same at every attempt, and different on every shard."""
        merged = self.merged
        return Delivery(self.delivery_id, merged, self.attempts + 1, instance_id, merged.traceparent)


def is_message_id(text: str) -> bool:
    """Say whether a text has the form of a merged message's id: `1758000000000-0`, or with a shard behind it."""
    return _ID.fullmatch(text) is not None


def split_message_id(message_id: str) -> tuple[str, str | None]:
    """Return the entry's id and the shard's number (None: not named). Raises ValueError for any other text."""
    match = _ID.fullmatch(message_id)
    if match is None:
        raise ValueError(f"{message_id} is no id")
    return match[1], match[2]


def parse_entry_id(entry_id: str) -> tuple[int, int]:
    """Return the two numbers of an entry's id, which sort as Redis sorts it."""
    ms, _, seq = entry_id.partition("-")
    return int(ms), int(seq)


def build_waiting_member(batch_key: str, entry_id: str) -> str:
    """Return the member of `waiting` for a message: its id has zeros before it, by which it sorts."""
    ms, _, seq = entry_id.partition("-")
    return f"{batch_key}\0{int(ms):015}-{int(seq):010}"


def parse_waiting_member(member: str) -> str:
    """Return the entry id in a member of `waiting`, `batch key NUL id`, without the zeros by which it sorts."""
    ms, _, seq = member.rpartition("\0")[2].partition("-")
    return f"{int(ms)}-{int(seq)}"


def encode_fields(fields: Sequence[bytes]) -> str:
    """Return an entry's fields as one JSON text. Another program may have written bytes that are no UTF-8."""
    return json.dumps([field.decode(errors="surrogateescape") for field in fields])


def decode_fields(text: bytes) -> list[bytes]:
    """Return the fields of `encode_fields`. Raises ValueError."""
    return [str(field).encode(errors="surrogateescape") for field in json.loads(text)]
