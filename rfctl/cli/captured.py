"""Captured requests, as people have them: a body, JSON lines, a body beside its headers, or a whole request as it was sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from rfctl.errors import UsageError
from rfctl.ingest.head import Head

Field = tuple[bytes, bytes]
_REQUEST_LINE = re.compile(rb"(GET|POST|PUT) (\S+) HTTP/(1\.[01])\r?\n")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_FORM = re.compile(rb"[\w.%*+\[\]-]+=[^\s{]*\s*")
_FORM_FIELD = (b"content-type", b"application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True)
class Captured:
    """One request. `has_head` says whether its head is the sender's: else it can prove nothing. `line` is 0 for a whole file."""

    head: Head
    body: bytes
    has_head: bool
    line: int = 0


def parse_fields(lines: Sequence[bytes]) -> list[Field]:
    """Return the fields of a head, line by line; a request line is passed over. Raises UsageError."""
    fields: list[Field] = []
    for line in lines:
        name, colon, value = line.strip().partition(b":")
        if not name or (not fields and _REQUEST_LINE.match(line.strip() + b"\n")):
            continue
        if not colon or b" " in name.strip():
            shown = line.strip().decode("latin-1")[:60]
            raise UsageError(f"{shown!r} is no header", next="write one as in 'X-Token: abc'")
        fields.append((name.strip().lower(), value.strip()))
    return fields


def read_captured(content: bytes, fields: Sequence[Field], target: str) -> Iterator[Captured]:
    """Yield the requests in a file. `fields` are headers beside it, and `target` is the path with the query.

    Raises UsageError for what is empty, or a request that is not whole.
    """
    if not content.strip():
        raise UsageError("there is no body: the file is empty", next="name a file, or let stdin have one")
    match = _REQUEST_LINE.match(content)
    if match is not None:
        yield _read_whole(content, match, fields)
        return
    has_head = bool(fields)
    bodies = _split_lines(content) if _is_lines(content) else [(0, _cut_to_length(content, fields))]
    for line, body in bodies:
        shown = fields or ([_FORM_FIELD] if _FORM.fullmatch(body) else [])
        yield Captured(_build_head("POST", target, "1.1", shown), body, has_head, line)


def _read_whole(content: bytes, match: re.Match[bytes], more: Sequence[Field]) -> Captured:
    end = _HEAD_END.search(content, match.end() - 2)
    head, body = (content, b"") if end is None else (content[: end.start()], content[end.end() :])
    fields = [*parse_fields(head[match.end() :].splitlines()), *more]
    if any(name == b"transfer-encoding" for name, _ in fields):
        step = "take the chunks' sizes out of the body, and the header Transfer-Encoding away"
        raise UsageError("the body is in chunks, as it went over the wire", next=step)
    method, target, version = (part.decode("latin-1") for part in match.groups())
    return Captured(_build_head(method, target, version, fields), _cut_to_length(body, fields), True)


def _cut_to_length(body: bytes, fields: Sequence[Field]) -> bytes:
    """Return a body without what an editor has put behind it, where a header says how long it was."""
    lengths = [value for name, value in fields if name == b"content-length" and value.isdigit()]
    return body[: int(lengths[-1])] if lengths and len(lengths[-1]) < 12 else body


def _build_head(method: str, target: str, version: str, fields: Sequence[Field]) -> Head:
    path, _, query = target.partition("?")
    return Head(method, path, path, query, version, tuple(fields), "")


def _is_lines(content: bytes) -> bool:
    """Say whether it is JSON lines: each line begins a value, and all together are no single one."""
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) < 2 or not all(line.lstrip()[:1] in b"{[" for line in lines):
        return False
    try:
        msgspec.json.decode(content, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return True
    return False


def _split_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()
