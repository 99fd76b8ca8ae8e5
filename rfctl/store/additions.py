"""The call of the script `add`: what it is told of each message, in which form, and what its answer says.

Every message passes here. So a call is put together from packed words (`store.packed`): what all calls of a shard have
in common is packed once, and nothing is called that most messages do not need.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from rfctl.model.closed_sets import Action
from rfctl.model.message import Message
from rfctl.model.stored import NEVER_DUE_MS, Added, encode_item
from rfctl.store import replies
from rfctl.store.batch_keys import LONGEST_KEY, is_hashed
from rfctl.store.keys import ShardKeys
from rfctl.store.packed import EMPTY_WORD, Packed, Word, build_head, list_heads, pack_words

MOST_MESSAGES, MOST_BYTES = 64, 131_072
"""What one call stores at most, or a single larger message: Redis serves nobody else meanwhile."""
ANSWERS_A_MESSAGE = 2
_TABLED_BYTES = 1023
"""A word that is longer has its head made for it."""
_REJECTED = {
    -1: "its key in Redis holds another kind of value",
    -2: "the batch before it cannot be handed over, and must not be mixed with it",
}
_DROPPED = -3
_OWN = -4
"""From here down: words of our own side, which are in no batch. The rest is in how many ms the batch is due."""


_unpack_id = struct.Struct(">qI4x").unpack
"""Reads 16 bytes as a signed number of 8 and another of 4, without a call for each: every message passes here."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What is decided about a message. Those about which the same is decided may share it.

    Its id is remembered for `dedupe_s` seconds. `action` is what becomes of its batch at once ("" lets it wait). `rule` is
    the rule that drops it, and `logs_drop` whether the delivery log gets to know.
    """

    dedupe_s: int
    quiet_ms: int
    max_size: int
    max_wait_ms: int
    action: Action = ""
    rule: str = ""
    logs_drop: bool = False


class Addition(msgspec.Struct, frozen=True, gc=False):
    """One message with the decisions about it.

    `batch_key` names its batch. Its id is remembered by `dedupe_key` (16 bytes, of `end_digest`). `older_key` is the id's key in the sets
    of layout 1, b"" for none.
    """

    message: Message
    batch_key: str
    dedupe_key: bytes
    terms: Terms
    older_key: bytes = b""

    def encode_own(self) -> bytes:
        """Return what the script `add` is told of this message alone: decisions, older key and phone."""
        terms = self.terms
        numbers = f"{terms.dedupe_s} {terms.quiet_ms} {terms.max_size} {terms.max_wait_ms}"
        action = f"drop:{int(terms.logs_drop)}:{terms.rule}" if terms.action == "drop" else terms.action
        head = f"{numbers} {action} {len(self.older_key)} ".encode()
        return head + self.older_key + self.message.phone.encode(errors="surrogatepass")


class AddSpeller:
    """Spells the calls of `add` for one shard. `common` are their first arguments, which all have."""

    def __init__(self, shard: ShardKeys, common: Sequence[Word]) -> None:
        self._keys = pack_words(*shard.of_batches, shard.ids)
        self._batch_heads = list_heads(LONGEST_KEY, shard.batch_prefix)
        self._last_heads = list_heads(LONGEST_KEY, shard.last_prefix)
        self._heads = list_heads(_TABLED_BYTES)
        self._common = common
        self._usual: Terms | None = None
        """What was usual in the last call; `_args` are the arguments that it shares with others of the same terms."""
        self._args = Packed(0, b"")

    def spell(self, additions: Sequence[Addition]) -> tuple[list[Packed], list[Packed]]:
        """Return the keys and the arguments by which the script stores messages."""
        usual = additions[0].terms
        if usual is not self._usual:
            self._usual = usual
            numbers = usual.dedupe_s, usual.quiet_ms, usual.max_size, usual.max_wait_ms
            self._args = pack_words(*self._common, *numbers)
        heads, batch_heads, last_heads = self._heads, self._batch_heads, self._last_heads
        keys, args = [self._keys.data], [self._args.data]
        named: set[str] = set()
        for addition in additions:
            batch_key, message = addition.batch_key, addition.message
            key = batch_key.encode()
            size = len(key)
            if batch_key not in named:
                named.add(batch_key)
                keys += (batch_heads[size], key, last_heads[size], key)
            is_apart = batch_key != message.phone and is_hashed(batch_key)
            is_usual = addition.terms == usual and not (is_apart or usual.action or addition.older_key)
            number, place = _unpack_id(addition.dedupe_key)
            mark, part = b"%d" % number, b"%d" % place
            sent_ms = message.sent_ms
            item = encode_item(message, with_phone=is_apart) + (
                b',"sentAt":null,"timestamp":' if sent_ms is None else b',"timestamp":%d' % sent_ms
            )
            length = len(item)
            args += (
                heads[size], key,
                heads[len(mark)], mark,
                heads[len(part)], part,
                heads[length] if length <= _TABLED_BYTES else build_head(length), item,
                EMPTY_WORD if is_usual else pack_words(addition.encode_own()).data,
            )  # fmt: skip
        return (
            [Packed(self._keys.count + 2 * len(named), b"".join(keys))],
            [Packed(self._args.count + 5 * len(additions), b"".join(args))],
        )


def split_calls(additions: Sequence[Addition]) -> list[Sequence[Addition]]:
    """Return the messages in their order, as many in a list as one call stores."""
    sizes = [len(addition.message.text) + len(addition.message.metadata) for addition in additions]
    if len(sizes) <= MOST_MESSAGES and sum(sizes) <= MOST_BYTES:  # nearly always
        return [additions] if sizes else []
    pages: list[Sequence[Addition]] = []
    start = size = 0
    for place, length in enumerate(sizes):
        size += length
        if place > start and (size > MOST_BYTES or place - start == MOST_MESSAGES):
            pages.append(additions[start:place])
            start, size = place, length
    return [*pages, additions[start:]]


def read_added(additions: Sequence[Addition], reply: object) -> list[Added]:
    """Return what became of each message, by the numbers that the script `add` answers: two for each."""
    flat = replies.integers(reply)
    results: list[Added] = []
    for addition, size, due_in_ms in zip(additions, flat[::2], flat[1::2], strict=True):
        if size > 0 <= due_in_ms:
            results.append(Added(addition.message.phone, True, size, due_in_ms))
        elif due_in_ms == _DROPPED:
            rule = addition.terms.rule
            results.append(Added(addition.message.phone, False, size, NEVER_DUE_MS, dropped_by=rule))
        elif due_in_ms <= _OWN:
            results.append(Added(addition.message.phone, False, size, _OWN - due_in_ms, is_own=True))
        else:
            why = _REJECTED.get(due_in_ms, "")
            results.append(Added(addition.message.phone, size > 0, abs(size), max(0, due_in_ms), why))
    return results
