"""Providers' payloads as files, and what every source promises of them.

`payloads/<type>/expected.json` says of each file what comes out of it: the messages with the fields that
matter, what is counted, and how many are unparsed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from rfctl.model.stored import decode_item, encode_item
from rfctl.sources.contract import ParseResult, Source, UnparsedError

FOLDER = Path(__file__).parents[1] / "payloads"
NO_FILE = {"id": "", "url": "", "mime": "", "caption": "", "name": ""}
NOTHING = [b"", b"not json", b"\xff", b"[]", b"{}", b"[" * 5000]
"""Bodies in which no provider's request can be made out."""

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@dataclass(frozen=True)
class Case:
    """One payload and what is expected of it."""

    name: str
    body: bytes
    expected: dict[str, Any]

    def __str__(self) -> str:
        return self.name


def cases(kind: str) -> list[Case]:
    """Return every payload of a type. Raises AssertionError when a file has no line in the table, or the reverse."""
    folder = FOLDER / kind
    table = json.loads((folder / "expected.json").read_bytes())
    files = {path.name for path in folder.iterdir()} - {"expected.json"}
    assert files == set(table), f"{kind}: not in both: {sorted(files ^ set(table))}"
    return [Case(name, (folder / name).read_bytes(), table[name]) for name in sorted(table)]


def body(kind: str, name: str) -> bytes:
    """Return one payload."""
    return (FOLDER / kind / name).read_bytes()


def check(source: Source, case: Case) -> ParseResult:
    """Hold a source to the table; returns what it read."""
    reading, wanted = source.parse(case.body), case.expected
    pairs = zip(reading.messages, wanted["messages"], strict=True)
    assert [_shown(message, like) for message, like in pairs] == [
        _filled(message) for message in wanted["messages"]
    ]
    assert (reading.skipped, len(reading.unparsed)) == (wanted["skipped"], wanted["unparsed"])
    return reading


def check_stored(reading: ParseResult) -> None:
    """Hold each message to its stored form, and to what the provider sent."""
    for message in reading.messages:
        stored = decode_item(encode_item(message, with_phone=True) + b"}")
        seen = (stored.text, stored.messageId, stored.phone, stored.type, stored.media, stored.refers)
        assert seen == (message.text, message.id, message.phone, message.type, message.media, message.refers)
        assert json.loads(bytes(stored.metadata))["raw"]


def check_unparsed(source: Source, reading: ParseResult) -> None:
    """Hold what is unparsed to being read again alone, and as it was."""
    for unparsed in reading.unparsed:
        assert unparsed.why
        again = source.parse(unparsed.body)
        assert (again.messages, again.skipped) == ([], {})
        assert [part.body for part in again.unparsed] == [unparsed.body]


def survived(source: Source, body: bytes) -> ParseResult | None:
    """Return what came of any bytes, None for what was not understood; nothing else may be raised."""
    try:
        reading = source.parse(body)
    except UnparsedError as problem:
        assert problem.fact
        return None
    check_stored(reading)
    check_unparsed(source, reading)
    return reading


def _shown(message: Any, like: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that the table speaks of."""
    metadata = json.loads(message.metadata)
    metadata.pop("raw")
    plain = {**msgspec.to_builtins(message), "metadata": metadata}
    return _filled({name: plain[name] for name in like})


def _filled(message: dict[str, Any]) -> dict[str, Any]:
    """Return the same with every field of its files."""
    files = {"media": [NO_FILE | file for file in message["media"]]} if "media" in message else {}
    return message | files
