"""Where a value stands in a request: in a header, a parameter of the query, or at a path of the body. Pure.

The request is a stranger's: whatever it is, a value is there or it is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal, cast
from urllib.parse import parse_qsl

import msgspec

from rfctl.sources.contract import Request
from rfctl.sources.form_bodies import is_form, read_form_fields

PlaceKind = Literal["header", "query", "body"]
_PATH = re.compile(r"[^.\s*$\[\]/]+(?:\.[^.\s*$\[\]/]+)*")
_MAX_QUERY_FIELDS = 100
_decode = msgspec.json.Decoder().decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_BOM = b"\xef\xbb\xbf"


def find_path_fault(path: str) -> str:
    """Return what is wrong with a path into a body; "" when nothing is."""
    if _PATH.fullmatch(path):
        return ""
    return f"`{path}` is no path: write names and list indexes between dots, as in data.secret"


class Place(msgspec.Struct, frozen=True):
    """One place of a request. `steps` are those of a path, where it is the body."""

    kind: PlaceKind
    name: str
    steps: tuple[str, ...] = ()

    @classmethod
    def parse(cls, kind: str, name: str) -> Place:
        """Return the place of this kind and name."""
        return cls(cast("PlaceKind", kind), name, tuple(name.split(".")) if kind == "body" else ())

    def describe(self) -> str:
        """Return it in words: `the header X-Token`."""
        noun = {"header": "the header", "query": "the query parameter", "body": "the body's"}[self.kind]
        return f"{noun} {self.name}"

    def read(self, request: Request) -> bytes:
        """Return the value, or b"" when there is none. A number in a body is its digits."""
        if self.kind == "header":
            return request.header(self.name.lower())
        if self.kind == "query":
            return _read_query(request.query, self.name)
        value = read_body_value(request, self.steps)
        return b"" if value is None else value.encode(errors="surrogatepass")


def _read_query(query: str, name: str) -> bytes:
    """Return a parameter of a query. Of several the last counts, as of headers."""
    try:
        fields = parse_qsl(
            query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS, errors="surrogateescape"
        )
    except ValueError:
        return b""
    return dict(fields).get(name, "").encode(errors="surrogateescape")


def read_body_value(request: Request, steps: Sequence[str]) -> str | None:
    """Return the text or the whole number at a path of a body, JSON or a form; None when there is none."""
    content_type = request.header("content-type")
    if is_form(content_type, request.body):
        return format_value(find_value(read_form_fields(content_type, request.body), steps))
    return format_value(find_value(decode_or_none(request.body), steps))


def decode_or_none(body: bytes) -> Any:
    """Return the decoded JSON of a body, None when it is none."""
    try:
        return _decode(body.removeprefix(_BOM))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def find_value(value: Any, steps: Sequence[str]) -> Any:
    """Return the value at a path of decoded JSON; None when there is none."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10:
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value


def format_value(value: Any) -> str | None:
    """Return a text as it is, and a whole number as its digits; None for all else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) if isinstance(value, int) else value


def blank_value(body: bytes, steps: Sequence[str]) -> bytes:
    """Return JSON with an empty text at a path, or as it is when nothing is there. The rest keeps its values."""
    try:
        fields = _decode_fields(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    if steps[0] not in fields:
        return body
    inner = bytes(fields[steps[0]])
    blank = blank_value(inner, steps[1:]) if len(steps) > 1 else b'""'
    if blank == inner:
        return body
    return msgspec.json.encode({**fields, steps[0]: msgspec.Raw(blank)})
