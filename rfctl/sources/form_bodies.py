"""A form as the flat JSON object that a map can read: application/x-www-form-urlencoded and multipart/form-data. Pure.

Of a file inside a form only the name is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec

FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data"
_MAX_FIELDS = 1000
_JSON_STARTS = (b"{", b"[", b"\xef\xbb\xbf")
_BOUNDARY = re.compile(rb';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'(?i)^content-disposition:[^\r\n]*;\s*name="([^"\r\n]*)"', re.MULTILINE)
_FILE_NAME = re.compile(rb'(?i)^content-disposition:[^\r\n]*;\s*filename="([^"\r\n]*)"', re.MULTILINE)
Pair = tuple[str, str]


def _read_media_type(content_type: bytes) -> bytes:
    return content_type.partition(b";")[0].strip().lower()


def is_form(content_type: bytes, body: bytes) -> bool:
    """Say whether a body is a form. JSON under that type, as curl sends it by itself, is none."""
    media_type = _read_media_type(content_type)
    return media_type == MULTIPART or (media_type == FORM and not body.lstrip().startswith(_JSON_STARTS))


def read_form_fields(content_type: bytes, body: bytes) -> dict[str, Any]:
    """Return the fields of a form: a text each, and a list of texts where a name comes again. None of too many."""
    if _read_media_type(content_type) == FORM:
        return _gather(_split_pairs(body))
    boundary = _BOUNDARY.search(content_type)
    return {} if boundary is None else _gather(_split_parts(body, boundary[1] or boundary[2]))


def _split_pairs(body: bytes) -> list[Pair]:
    text = body.decode(errors="replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="replace")
    except ValueError:
        return []


def _split_parts(body: bytes, boundary: bytes) -> Iterator[Pair]:
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary, _MAX_FIELDS + 2)
    if len(parts) > _MAX_FIELDS + 2:
        return
    for part in parts[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        name, file_name = _NAME.search(head), _FILE_NAME.search(head)
        if name is not None:
            value = content if file_name is None else file_name[1]
            yield name[1].decode(errors="replace"), value.decode(errors="replace")


def _gather(pairs: Iterable[Pair]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def convert_form(content_type: bytes, body: bytes) -> bytes:
    """Return the fields of a form as JSON. A form without any, or with too many, comes back as it is."""
    fields = read_form_fields(content_type, body)
    return msgspec.json.encode(fields) if fields else body
