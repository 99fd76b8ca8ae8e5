"""Reads what Redis answers: bytes as text, flat lists as fields, entries of a stream, facts of XINFO.

Each function takes an answer as redis-py has it over RESP2: bytes, int, None or a list of them. Text that is not
UTF-8 is shown with replacement characters: another program may have written it. Any other shape raises TypeError or
ValueError, because then what answers is no Redis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

Facts = Mapping[str, object]
"""What XINFO says about one group or consumer: name → answer."""


def text(reply: object) -> str:
    """Return text; a missing answer is ""."""
    if isinstance(reply, bytes):
        return reply.decode(errors="replace")
    return "" if reply is None else str(reply)


def texts(reply: object) -> list[str]:
    """Return a list of texts."""
    return [text(item) for item in array(reply)]


def data(reply: object) -> bytes:
    """Return bytes as they are; a missing answer is empty."""
    if reply is None:
        return b""
    if not isinstance(reply, bytes):
        raise TypeError(f"{reply!r} is not a string")
    return reply


def integer(reply: object) -> int:
    """Return a whole number, which may be written as text."""
    return reply if isinstance(reply, int) else int(data(reply))


def score(reply: object) -> int:
    """Return a sorted set's score as a whole number; what is behind the point is cut off."""
    return int(float(data(reply)))


def array(reply: object) -> list[object]:
    """Return a list; a missing answer (a read that timed out) is empty."""
    if reply is None:
        return []
    if not isinstance(reply, list):  # nothing but a list: a string has parts too
        raise TypeError(f"{reply!r} is not a list")
    return reply


def integers(reply: object) -> list[int]:
    """Return the numbers of a script of ours: only that it is a list is checked, because every message passes here."""
    return cast("list[int]", array(reply))


def pairs(reply: object) -> list[tuple[object, object]]:
    """Return [a, 1, b, 2] as [(a, 1), (b, 2)]. A last one without a partner is left out."""
    flat = array(reply)
    return list(zip(flat[::2], flat[1::2], strict=False))


def fields(reply: object) -> dict[str, bytes]:
    """Return a hash or the fields of a stream's entry; of a name that comes twice the last counts."""
    return {text(name): data(value) for name, value in pairs(reply)}


def counts(reply: object) -> dict[str, int]:
    """Return a hash of numbers."""
    return {text(name): integer(value) for name, value in pairs(reply)}


def scores(reply: object) -> list[tuple[str, int]]:
    """Return the members of a sorted set that was read WITHSCORES."""
    return [(text(member), score(value)) for member, value in pairs(reply)]


def facts(reply: object) -> Facts:
    """Return what XINFO says about one group or consumer."""
    return {text(name): value for name, value in pairs(reply)}


def stream_entry(reply: object) -> tuple[str, list[bytes] | None]:
    """Return one entry's id and its flat fields; None for an entry that is deleted and still unacknowledged."""
    entry_id, flat = array(reply)
    return text(entry_id), None if flat is None else [data(item) for item in array(flat)]


def stream_entries(reply: object) -> list[tuple[str, list[bytes]]]:
    """Return the entries that XRANGE or XREVRANGE has found: id and flat fields."""
    return [(entry_id, flat or []) for entry_id, flat in map(stream_entry, array(reply))]
