"""The trace that a request is a part of, as W3C Trace Context spells it: `00-<trace id>-<parent id>-<flags>`.

Strangers send it, and it is passed on into headers, so nothing but this one form is ever taken. `tracestate` is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_decode_texts = msgspec.json.Decoder(list[str]).decode


class TracedBatch(msgspec.Struct, frozen=True):
    """A batch that was handed over, and of whose messages some have a trace. Times are Unix ms by the clock of Redis."""

    delivery_id: str
    traceparents: tuple[str, ...]
    reason: str
    count: int
    first_ms: int
    handed_ms: int

    @property
    def traceparent(self) -> str:
        """The trace of the last of its messages that has one, or ""."""
        return find_last(self.traceparents)


class Traceable(Protocol):
    """A message that may have a trace."""

    @property
    def traceparent(self) -> str | None:
        """It, or None."""


def find_last(traceparents: Sequence[str]) -> str:
    """Return the trace of the last message that has one, or ""."""
    return next(filter(None, reversed(traceparents)), "")


def check_traceparent(text: str) -> str:
    """Return a text that is a valid traceparent of version 00, and "" for any other."""
    return text if _FORM.fullmatch(text) else ""


def find_traceparent(values: Iterable[bytes]) -> str:
    """Return the traceparent that a request names; "" when it names none, a bad one, or more than one."""
    sent = tuple(values)
    return check_traceparent(sent[0].decode("latin-1")) if len(sent) == 1 else ""


def read_traceparents(field: bytes) -> tuple[str, ...]:
    """Return the field `traceparents` of a merged message, with "" for what is not valid: anybody may write a stream."""
    try:
        return tuple(map(check_traceparent, _decode_texts(field)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()


def list_traceparents(messages: Iterable[Traceable]) -> list[str]:
    """Return the traces of messages, in their order, "" for a message without one; empty where none has any."""
    traces = [check_traceparent(message.traceparent or "") for message in messages]
    return traces if any(traces) else []
