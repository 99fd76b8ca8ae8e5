"""What a source is given and what it gives back: a provider's request in, messages out; pure.

A source trusts nothing that it has not verified, and drops nothing in silence: what it does not understand
comes back as `unclear` and is kept for an operator, what is no message of a person (a delivery status, our
own words) is counted by its kind.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from rfctl.errors import RfctlError
from rfctl.message import Message

MARKS_MS = 100_000_000_000
"""A time below this is in seconds, one above in milliseconds (both since 1970)."""

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it came. `path` and `query` are raw; header names are lower-case; `body` is the bytes."""

    method: str
    path: str
    query: str
    headers: Mapping[str, bytes]
    body: bytes

    def header(self, name: str) -> bytes:
        """Return a header's bytes, or b"" when it was not sent."""
        return self.headers.get(name, b"").strip()


@dataclass(frozen=True, slots=True)
class Profile:
    """One configured source: its name, whose messages it brings, and what its type needs to verify and read."""

    name: str
    secrets: tuple[str, ...] = ()
    company: str = ""
    max_text_bytes: int = 65_536
    verify_token: str = ""
    public_url: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    auth: str = ""
    auth_header: str = ""


@dataclass(frozen=True, slots=True)
class Unclear:
    """A request, or the part of one, that is authentic and not understood: `body` can be read again later."""

    body: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read out of one request, in its order; `skipped` counts what is no message, by kind."""

    messages: list[Message] = field(default_factory=list)
    unclear: list[Unclear] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def skip(self, kind: str) -> None:
        """Count one thing that is no message of a person."""
        self.skipped[kind] = self.skipped.get(kind, 0) + 1


class NotUnderstoodError(RfctlError):
    """An authentic request whose content is not understood; it is kept, and answered as taken."""


class Source(Protocol):
    """One provider's way to send messages in, set up with one `Profile`."""

    def __init__(self, profile: Profile) -> None: ...

    def verify(self, request: Request, now_ms: int) -> bool:
        """Say whether any of the secrets verifies this request, in constant time; `now_ms` is Unix ms."""

    def messages(self, body: bytes) -> Reading:
        """Read a verified body. Raises NotUnderstoodError when nothing in it can be made out."""

    def handshake(self, request: Request) -> str | None:
        """Return what a GET is answered with as plain text; None refuses it."""

    def redact(self, body: bytes) -> bytes:
        """Return the body without the secrets that the provider puts into it, still readable by `messages`."""


def same(given: bytes, expected: str) -> bool:
    """Compare in constant time, as bytes: a header may hold anything."""
    return hmac.compare_digest(given, expected.encode())


def bearer(header: bytes) -> bytes:
    """Return an Authorization header without its word `Bearer`."""
    word, _, rest = header.partition(b" ")
    return rest.strip() if word.lower() == b"bearer" else header


def repaired(body: bytes) -> bytes:
    r"""Return JSON in which half an emoji (a lone `\ud83d`, from JavaScript that cut one in two) is U+FFFD.

    Every decoder refuses such a string, and with it the message. The escapes are read one after another, so
    that an escaped backslash before a `u` is not mistaken for one; a body without any comes back as it is.
    """
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)


def decode_json(body: bytes, decode: Callable[[bytes], Any]) -> Any:
    """Decode a JSON body, repaired; raises NotUnderstoodError that says what is wrong with it.

    The parts that a decoder leaves raw are UTF-8 and repaired too.
    """
    try:
        body.decode()  # what stays raw is not checked by the decoder
        return decode(repaired(body))
    except msgspec.ValidationError as problem:
        raise NotUnderstoodError(f"wrong shape: {problem}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise NotUnderstoodError(f"not JSON: {problem}") from None


def metadata(raw: bytes, **facts: Any) -> bytes:
    """Return a message's metadata: the facts that are known, and the provider's own object as `raw`."""
    known = {name: value for name, value in facts.items() if value not in (None, "", {}, [])}
    return msgspec.json.encode({**known, "raw": msgspec.Raw(raw)})


def unix_ms(value: float | str | None) -> int | None:
    """Return Unix ms of a number of seconds or ms, also one in a string; None when it is no time."""
    try:
        number = float(value) if value not in (None, "") else -1.0
    except (TypeError, ValueError):
        return None
    if not 0 < number < 1e15:
        return None
    return int(number * 1000 if number < MARKS_MS else number)


def first(*candidates: str | None) -> str:
    """Return the first that is not empty, or ""."""
    return next((one for one in candidates if one), "")


def joined(parts: Iterable[str]) -> str:
    """Return the parts that are not empty, one a line."""
    return "\n".join(part for part in parts if part)
