"""Tools that sources share: JSON as strangers send it, limits, secrets in constant time, times and metadata. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from rfctl.model.company import format_company
from rfctl.model.message import MAX_COMPANY_CHARS, MAX_ID_CHARS, MAX_PHONE_CHARS, Message, Unparsed, is_blank
from rfctl.model.strict_json import find_json_fault
from rfctl.sources.contract import UnparsedError
from rfctl.sources.signing import matches_any

MAX_TYPE_CHARS = 32
SECONDS_BELOW = 100_000_000_000
"""A time since 1970 below this number is in seconds, one above it in milliseconds."""

Part = TypeVar("Part")
_WHATSAPP_CHARS = 65_536
"""As long as WhatsApp lets a text be: outside of ASCII it has two or three times as many bytes."""
_DEEPEST = 32
_MAX_BYTES_OF_A_CHAR = 4
_FEW_CHARS = min(MAX_PHONE_CHARS, MAX_ID_CHARS)
_DIGITS_OF_SECONDS = 10
_MAX_COPIED_BYTES = 1 << 21
_NOT_OF_A_TYPE = re.compile(r"[^a-z0-9_-]+")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Contact(msgspec.Struct, frozen=True):
    """A person in an address book. A field that the provider leaves out is ""."""

    name: str
    phone: str


def constant_time_equal(sent: bytes, expected: str) -> bool:
    """Compare in constant time, as bytes: a header may hold anything."""
    return matches_any(sent, (expected.encode(),))


def any_secret(secrets: Iterable[str], matches: Callable[[str], bool]) -> bool:
    """Say whether any secret passes a check. Each is tried, so that the time does not tell which; an empty one never is."""
    results = [matches(secret) for secret in secrets if secret]
    return any(results)


def strip_bearer(header: bytes) -> bytes:
    """Return an Authorization header without its word `Bearer`."""
    word, _, rest = header.partition(b" ")
    return rest.strip() if word.lower() == b"bearer" else header


def repair_surrogates(body: bytes) -> bytes:
    r"""Return JSON in which half an emoji (a lone `\ud83d`, from JavaScript that cut one in two) is U+FFFD.

    Every decoder refuses such a string, and with it the message. The escapes are read one after another, so
    that an escaped backslash before a `u` is not mistaken for one; a body without any comes back as it is.
    """
    if _HALF.search(body) is None:
        return body
    return _ESCAPE.sub(lambda match: b"\\ufffd" if match[1] else match[0], body)


def decode_json(body: bytes, decode: Callable[[bytes], Any]) -> Any:
    """Decode a JSON body, repaired; raises UnparsedError that says what is wrong with it.

    The parts that the decoder leaves raw are UTF-8, and repaired too: `decode_part` decodes them.
    """
    repaired = repair_surrogates(body)
    try:
        body.decode()  # what stays raw is not checked by the decoder
    except UnicodeDecodeError as problem:
        raise UnparsedError(f"not JSON: {problem}") from None
    return decode_part(repaired, decode)


def decode_part(raw: bytes, decode: Callable[[bytes], Any]) -> Any:
    """Decode a raw part of a body that `decode_json` has checked. Raises UnparsedError."""
    try:
        return decode(raw)
    except msgspec.ValidationError as problem:
        raise UnparsedError(f"wrong shape: {problem}") from None
    except (msgspec.DecodeError, RecursionError) as problem:
        raise UnparsedError(f"not JSON: {problem}") from None


def strip_fields(raw: bytes, names: frozenset[str], deepest: int = _DEEPEST) -> bytes:
    """Return JSON without the fields of these names: pictures in base64, an engine's own objects.

    Every value beside them keeps its bytes, and so does what is nested deeper than `deepest`.
    """
    if not deepest or not any(name.encode() in raw for name in names):
        return raw
    if raw[:1] == b"{":
        fields = decode_part(raw, _decode_fields)
        lighter = {name: _strip(value, names, deepest) for name, value in fields.items() if name not in names}
        return msgspec.json.encode(lighter)
    if raw[:1] == b"[":
        return msgspec.json.encode([_strip(item, names, deepest) for item in decode_part(raw, _decode_list)])
    return raw


def _strip(value: msgspec.Raw, names: frozenset[str], deepest: int) -> msgspec.Raw:
    return msgspec.Raw(strip_fields(bytes(value), names, deepest - 1))


def check_limits(message: Message, max_text_bytes: int) -> Message:
    """Return the message if it can be stored, a blank text as none. Raises UnparsedError that says in words why not."""
    if not _is_within_limits(message, max_text_bytes):
        _raise_beyond_limits(message, max_text_bytes)
    if message.text and is_blank(message.text):
        return msgspec.structs.replace(message, text="")
    return message


def _is_within_limits(message: Message, max_text_bytes: int) -> bool:
    """Say whether a message is surely short enough: all its names together are as short as each must be."""
    phone, id_, company = message.phone, message.id, message.company
    names = len(phone) + len(id_) + len(message.chat) + len(message.account) + len(message.refers)
    return (
        bool(phone and id_)
        and names <= _FEW_CHARS
        and len(message.text) * _MAX_BYTES_OF_A_CHAR <= max_text_bytes
        and (company is None or len(str(company)) <= MAX_COMPANY_CHARS)
    )


def _raise_beyond_limits(message: Message, max_text_bytes: int) -> None:
    """Raise UnparsedError for the first limit that a message breaks; it may keep all of them."""
    if not message.phone:
        raise UnparsedError("no sender")
    if not message.id:
        raise UnparsedError("no id")
    for name, value, most in (
        ("phone", message.phone, MAX_PHONE_CHARS),
        ("id", message.id, MAX_ID_CHARS),
        ("chat", message.chat, MAX_ID_CHARS),
        ("company", format_company(message.company), MAX_COMPANY_CHARS),
        ("account", message.account, MAX_ID_CHARS),
        ("id that it refers to", message.refers, MAX_ID_CHARS),
    ):
        if len(value) > most:
            raise UnparsedError(f"the {name} is longer than {most} characters")
    if _is_too_long(message, max_text_bytes):
        raise UnparsedError(f"the text is longer than {max_text_bytes} bytes")


def _is_too_long(message: Message, max_text_bytes: int) -> bool:
    """Say whether a text is longer than the setting. WhatsApp's own limit is in characters, and so is ours there."""
    text = message.text
    if len(text) <= max_text_bytes and len(text.encode()) <= max_text_bytes:
        return False
    return max_text_bytes < _WHATSAPP_CHARS or message.platform != "whatsapp" or len(text) > _WHATSAPP_CHARS


def build_unparsed(
    parts: Sequence[tuple[Part, str]], build_body: Callable[[Sequence[Part]], bytes]
) -> list[Unparsed]:
    """Return the unparsed messages of a request, each of `parts` with its reason.

    `build_body` makes a request of some of them. Each gets its own, unless copies of what is around them would be large.
    """
    if not parts:
        return []
    alone = build_body([parts[0][0]])
    if len(parts) * len(alone) <= _MAX_COPIED_BYTES:
        return [Unparsed(build_body([part]), why) for part, why in parts]
    why = parts[0][1] + (f"; and {len(parts) - 1} more" if len(parts) > 1 else "")
    return [Unparsed(build_body([part for part, _ in parts]), why)]


def build_id_scope(provider: str, account: str, id_scope: str, *narrower: str) -> tuple[str, ...]:
    """Return where a message id is unique: in the provider's own account, or under `id_scope` where none is named."""
    whose = ("account", account) if account else ("source", id_scope)
    return (provider, *whose, *narrower)


def normalize_type(name: str) -> str:
    """Return a provider's name for a type as we write it: `[a-z0-9_-]`, at most 32 characters."""
    return _NOT_OF_A_TYPE.sub("_", name.lower())[:MAX_TYPE_CHARS].strip("_") or "unsupported"


def build_metadata(raw: bytes, **facts: Any) -> bytes:
    """Return a message's metadata: the facts that are not empty, and the provider's own object as `raw`.

    Raises UnparsedError for an object that a strict reader would refuse.
    """
    if fault := find_json_fault(raw):
        raise UnparsedError(fault)
    present = {name: value for name, value in facts.items() if value not in (None, "", {}, [])}
    return msgspec.json.encode({**present, "raw": msgspec.Raw(raw)})


def parse_unix_ms(value: float | str | None) -> int | None:
    """Return Unix ms of a number of seconds or ms, also one in a string; None when it is no time."""
    if isinstance(value, str) and len(value) == _DIGITS_OF_SECONDS and value.isascii() and value.isdigit():
        return int(value) * 1000 or None  # as most are
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not 0 < number < 1e15:
        return None
    return int(number * 1000 if number < SECONDS_BELOW else number)


def first_nonempty(*candidates: str | None) -> str:
    """Return the first that is not empty, or ""."""
    return next((candidate for candidate in candidates if candidate), "")


def join_lines(parts: Iterable[str]) -> str:
    """Return the parts that are not empty, one a line."""
    return "\n".join(part for part in parts if part)
