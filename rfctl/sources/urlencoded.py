"""A form (application/x-www-form-urlencoded) as the flat JSON object that a map can read. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

FORM = b"application/x-www-form-urlencoded"
_MAX_FIELDS = 1000
_JSON_STARTS = (b"{", b"[", b"\xef\xbb\xbf")


def is_form(content_type: bytes, body: bytes) -> bool:
    """Say whether a body is a form. JSON under that type, as curl sends it by itself, is none."""
    if content_type.partition(b";")[0].strip().lower() != FORM:
        return False
    return not body.lstrip().startswith(_JSON_STARTS)


def read_form_fields(body: bytes) -> dict[str, Any]:
    """Return the fields of a form: a text each, and a list of texts where a name comes again. None of too many."""
    try:
        pairs = parse_qsl(
            body.decode(errors="replace"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="replace",
        )
    except ValueError:
        return {}
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return fields


def convert_form(body: bytes) -> bytes:
    """Return the fields of a form as JSON. A form without any, or with too many, comes back as it is."""
    fields = read_form_fields(body)
    return msgspec.json.encode(fields) if fields else body
