"""Files that a provider sends inside its JSON, as base64 or as a list of bytes: they are left out. Pure.

A picture of 20 MB would else be stored with its message, passed on to every receiver, and kept in quarantine. A short
note stands in its place. No text of a person is lost: what is left out is longer than any text may be.
"""

from __future__ import annotations

import re
from collections.abc import Callable

NOTE = "[a file of "
_END = " bytes was left out]"
_VALUE = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
    rb"|\[(?:\s*+\d{1,3}\s*+,)++\s*+\d{1,3}\s*+\]"
    rb'|\{(?:\s*+"\d+"\s*+:\s*+\d{1,3}\s*+,)++\s*+"\d+"\s*+:\s*+\d{1,3}\s*+\}',
    re.DOTALL,
)
"""A string, or a file as Node writes its bytes: a list, or an object with an index for each byte."""
_DATA_URL = re.compile(rb"data:[^\",\\]{0,200},")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"


def strip_inline_files(body: bytes, longest: int) -> bytes:
    """Return JSON without the files in it that are longer than `longest` bytes; any other body as it is."""
    if len(body) <= longest:
        return body
    return _VALUE.sub(_build_replacement(longest), body)


def _is_base64(text: bytes) -> bool:
    r"""Say whether the inside of a JSON string is base64, also with `\/` and `\n` in it."""
    data_url = _DATA_URL.match(text)
    encoded = text[data_url.end() :] if data_url else text
    return b"\\u" not in encoded and not encoded.translate(None, _ALPHABET).strip(b"\\")


def is_note(text: str) -> bool:
    """Say whether a text stands in the place of a file."""
    return text.startswith(NOTE) and text.endswith(_END)


def _build_replacement(longest: int) -> Callable[[re.Match[bytes]], bytes]:
    def replace(match: re.Match[bytes]) -> bytes:
        size, value = match.end() - match.start(), match[0]
        if size - 2 <= longest:
            return value
        if value[:1] != b'"':
            return value[:1] + value[-1:]
        if not _is_base64(value[1:-1]):
            return value
        return f'"{NOTE}{size - 2}{_END}"'.encode()

    return replace
