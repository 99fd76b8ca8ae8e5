"""Reads whose some batches are, since when they wait and how their texts begin, without their messages."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from rfctl.store import replies
from rfctl.store.keys import ShardKeys

if TYPE_CHECKING:
    from rfctl.store.connection import Connection

_PAGE = 100
"""How many batches a call reads."""
_MOST_BYTES = 400_000
"""How many bytes of messages Redis goes through in a call; the first one may be longer."""
_MOST_CALLS = 50
TEXT_BYTES = 240
"""How much of a text is read for a screen: a line of any terminal, also where each character has three bytes."""
_HALF = 6
"""So many bytes at the end of a text that was cut may be half a character, or half an escape of JSON."""

_decode_text = msgspec.json.Decoder(str).decode


@dataclass(frozen=True, slots=True)
class BatchHead:
    """Whose a batch is. `size` 0: it has left. `received_ms` (Unix ms) is 0, and the rest "", where no message tells it.

    `channel`, `account` and `text`, how its first message begins, are "" if no texts were asked for.
    """

    size: int
    received_ms: int
    phone: str
    chat: str
    channel: str = ""
    account: str = ""
    text: str = ""


async def read_heads(
    connection: Connection,
    shard: ShardKeys,
    batch_keys: Sequence[str],
    *,
    most_calls: int | None = None,
    with_texts: bool = False,
) -> dict[str, BatchHead]:
    """Return the heads of batches of one shard, in their order, for all or for as many as `most_calls` reach."""
    heads: dict[str, BatchHead] = {}
    calls, width = 0, 7 if with_texts else 4
    args = [_MOST_BYTES, TEXT_BYTES if with_texts else 0]
    while len(heads) < len(batch_keys) and (most_calls is None or calls < most_calls):
        page = batch_keys[len(heads) : len(heads) + _PAGE]
        keys = [shard.batch_prefix + batch_key for batch_key in page]
        flat = replies.array(await connection.run("read_heads", shard, keys, args))
        for place, batch_key in enumerate(page[: len(flat) // width]):
            heads[batch_key] = _decode(*flat[place * width : (place + 1) * width])
        calls += 1
    return heads


def _decode(
    size: object, received_ms: object, phone: object, chat: object,
    channel: object = b"", account: object = b"", text: object = b"",
) -> BatchHead:  # fmt: skip
    return BatchHead(
        replies.integer(size), replies.integer(received_ms), replies.text(phone), replies.text(chat),
        replies.text(channel), replies.text(account), _read_begin(replies.data(text)),
    )  # fmt: skip


def _read_begin(escaped: bytes) -> str:
    """Read the inside of a JSON string whose end may be cut. Text that is no JSON comes as it is."""
    for cut in range(min(_HALF, len(escaped)) + 1):
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            return _decode_text(b'"%b"' % escaped[: len(escaped) - cut])
    return escaped.decode(errors="replace")


async def read_oldest(connection: Connection, shard: ShardKeys, batch_keys: Sequence[str]) -> int | None:
    """Return when the oldest message of these batches was received (Unix ms), as far as a few calls tell."""
    heads = await read_heads(connection, shard, batch_keys, most_calls=_MOST_CALLS)
    return min((head.received_ms for head in heads.values() if head.received_ms), default=None)
