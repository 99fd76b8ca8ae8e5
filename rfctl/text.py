r"""Makes text of strangers fit for a terminal or a log: no markup, no control characters, no secrets.

A message can carry ESC sequences that move the cursor, C1 controls, or bidi marks that reorder a line. They are
written out (`\x1b`, `\u202e`), so that a reader sees what was sent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_HEAD, _TAIL = 5, 2


def visible(text: str) -> str:
    """Return the text with every character written out that could act on a terminal."""
    return _UNSAFE.sub(lambda match: _escape(match[0]), text)


def _escape(char: str) -> str:
    escapes = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    if char in escapes:
        return escapes[char]
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"


def mask_phone(phone: str) -> str:
    """Return a phone with its middle hidden, for logs: `79001•••67`."""
    if len(phone) <= _HEAD + _TAIL:
        return visible(phone[:1]) + "•••"
    return visible(f"{phone[:_HEAD]}•••{phone[-_TAIL:]}")


def duration(ms: float) -> str:
    """Return ms for a person: `340 ms`, `4.2 s`, `3 min 5 s`, `2 h 3 min`."""
    if ms < 0:
        return "-" + duration(-ms)
    if ms < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def human_bytes(count: int) -> str:
    """Return a number of bytes for a person: 12 kB."""
    size, unit = float(count), "B"
    for next_unit in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, next_unit
    return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"


def counted(number: int, what: str) -> str:
    """Return a number with its noun: `1 batch`, `2 batches`, `3 entries`, `0 messages`."""
    if number == 1:
        return f"1 {what}"
    if what.endswith("ry"):
        return f"{number} {what[:-1]}ies"
    return f"{number} {what}{'es' if what.endswith('ch') else 's'}"


_NEXT_URL = re.compile(r";(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|credential|signature|auth|(^|[._-])(sig|api_?key|key)$", re.I
)


def mask_url(url: str) -> str:
    """Return a URL, or several with `;` between them, with dots for each password, also in a query."""
    return ";".join(_masked(part) for part in _NEXT_URL.split(url))


def _masked(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a password with a / in it is read as a port, and is an error here
    except ValueError:
        return "•••"
    front, mark, query = url.partition("?")
    if parts.password is not None:
        user, _, host = parts.netloc.rpartition("@")
        front = front.replace(parts.netloc, f"{user.partition(':')[0]}:•••@{host}", 1)
    return front + mark + "&".join(_masked_field(field) for field in query.split("&"))


def _masked_field(field: str) -> str:
    name, equals, value = field.partition("=")
    return f"{name}=•••" if equals and value and _SECRET_NAME.search(unquote(name)) else field


def did_you_mean(word: str, known_words: Iterable[str]) -> str:
    """Return a hint to be put behind a fact: the known word that is nearest, or ""."""
    matches = difflib.get_close_matches(word, list(known_words), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""
