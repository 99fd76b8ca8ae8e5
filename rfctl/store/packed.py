"""Words of a command to Redis in the form in which they are sent.

hiredis packs a command word by word. For a call of `add`, with seven words a message, that costs as much as all else
that is done for the message here. So what seldom changes is packed once, and what is short gets its head from a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import final

import msgspec

Word = bytes | str | int | float
_HEAD = b"\r\n$%d\r\n"
EMPTY_WORD = b"\r\n$0\r\n"


@final
class Packed(msgspec.Struct, frozen=True, gc=False):
    """Some words of a command: `count` of them, each as a line break, its head, a line break and its bytes."""

    count: int
    data: bytes


def build_head(size: int) -> bytes:
    """Return what stands before a word of `size` bytes."""
    return _HEAD % size


@cache
def list_heads(longest: int, prefix: str = "") -> Sequence[bytes]:
    """Return what stands before a word that begins with `prefix`, by how many bytes follow that: 0 to `longest`."""
    start = prefix.encode()
    return [build_head(len(start) + size) + start for size in range(longest + 1)]


_SHORT = list_heads(64)


def pack_words(*words: Word) -> Packed:
    """Return words packed."""
    return Packed(len(words), b"".join(map(_pack, words)))


def _pack(word: Word) -> bytes:
    data = b"%d" % word if type(word) is int else word if isinstance(word, bytes) else str(word).encode()
    size = len(data)
    return (_SHORT[size] if size < len(_SHORT) else build_head(size)) + data


_pack_again = lru_cache(64)(_pack)
"""Packs a word that most likely comes again."""


def pack_command(command: tuple[Word | Packed, ...]) -> bytes:
    """Return a whole command, of which some words are packed. Its texts most likely come again: its name, or a key."""
    count, parts = len(command), []
    for word in command:
        if type(word) is Packed:
            count += word.count - 1
            parts.append(word.data)
        else:
            parts.append(_pack_again(word) if type(word) is str else _pack(word))
    return b"*%d%b\r\n" % (count, b"".join(parts))


def count_words(words: Sequence[Word | Packed]) -> int:
    """Return how many words there are, also in those that are packed."""
    count = len(words)
    for word in words:
        if type(word) is Packed:
            count += word.count - 1
    return count


def unpack(words: Iterable[Word | Packed]) -> list[Word]:
    """Return the words one by one, for a client that packs them itself."""
    return [word for part in words for word in (_read(part) if type(part) is Packed else (part,))]


def _read(packed: Packed) -> list[bytes]:
    words: list[bytes] = []
    data, end = packed.data, 0
    while end < len(data):
        start = data.index(b"\r", end + 2) + 2
        size = int(data[end + 3 : start - 2])
        end = start + size
        words.append(data[start:end])
    return words
