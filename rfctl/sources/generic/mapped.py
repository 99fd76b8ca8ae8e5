"""Any other sender of JSON: the settings say at which path each fact stands. Pure.

    mapping = { each = "data.messages", phone = "sender.id", text = "body", id = "id", account = "/instance" }

A path is names and list indexes between dots. `each` is the path of a list of messages: the other paths are
then relative to its element, and one with a leading `/` goes from the top of the body. A mapping that
`check_mapping` finds nothing wrong with always works; the body is trusted once it is verified, by a token,
an HMAC of the body, or the Node service's signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from rfctl.errors import SettingsError
from rfctl.model.message import Media, Message, Unparsed, normalize_phone
from rfctl.sources.contract import (
    NotUnderstoodError,
    ParseResult,
    Profile,
    Request,
    bearer,
    check_limits,
    constant_time_equal,
    decode_json,
    metadata,
    repair_surrogates,
    unix_ms,
)
from rfctl.sources.generic import node_form as generic
from rfctl.sources.generic.json_path import Path, at, raw_at, raw_with
from rfctl.sources.whatsapp_web import type_named, type_of_mime

KEYS = (
    "each", "phone", "text", "id", "company", "account", "chat", "name", "time", "type",
    "media_url", "media_mime", "media_id", "caption", "skip_if",
)  # fmt: skip
AUTHS = ("token", "hmac-sha256", "node")
_CONTENT = ("text", "media_url", "media_id")
_FALSE: tuple[Any, ...] = (None, False, 0, "", "0", "false", [], {})
_decode = msgspec.json.Decoder().decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def check_mapping(mapping: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a mapping, one line each; an empty list when nothing is."""
    problems = [f"unknown key `{key}`: one of {', '.join(KEYS)}" for key in mapping if key not in KEYS]
    problems += [
        f"`{key}`: `{path}` is no path: names and list indexes between dots, as in data.messages.0.text"
        for key, path in mapping.items()
        if key in KEYS and not Path.is_one(path)
    ]
    if "phone" not in mapping:
        problems.append("`phone` is missing: where does it say who sent the message?")
    if not any(key in mapping for key in _CONTENT):
        problems.append("neither `text` nor `media_url` nor `media_id` is set: what is there to hand over?")
    return problems


class Mapped:
    """The source `mapped`. Raises SettingsError for a mapping or a kind of authentication that cannot work."""

    def __init__(self, profile: Profile, make_id: Callable[[], str] = generic.new_id) -> None:
        problems = check_mapping(profile.mapping)
        if profile.auth and profile.auth not in AUTHS:
            problems.append(f"unknown auth `{profile.auth}`: one of {', '.join(AUTHS)}")
        if problems:
            raise SettingsError(problems)
        self._profile = profile
        self._paths = {key: Path.read(path) for key, path in profile.mapping.items()}
        self._each = self._paths.pop("each", None)
        self._make_id = make_id
        self._node = generic.Generic(profile)

    def verify(self, request: Request, now_ms: int) -> bool:
        """Say whether any secret vouches for this request; `now_ms` (Unix ms) matters to `node` alone."""
        if self._profile.auth == "node":
            return self._node.verify(request, now_ms)
        given = request.header((self._profile.auth_header or "authorization").lower())
        vouches = _signed if self._profile.auth == "hmac-sha256" else _told
        matches = [vouches(given, secret, request.body) for secret in self._profile.secrets if secret]
        return any(matches)

    def handshake(self, request: Request) -> str | None:  # noqa: ARG002 - nobody asks nothing first
        """Refuse every GET."""
        return None

    def redact(self, body: bytes) -> bytes:
        """Return the body: which part of it would be secret is not known."""
        return body

    def messages(self, body: bytes) -> ParseResult:
        """Read each message. Raises NotUnderstoodError for a body that is not JSON or has no list at `each`."""
        top = decode_json(body, _decode)
        mended = repair_surrogates(body)
        reading = ParseResult()
        for place, raw in enumerate(self._elements(mended)):
            try:
                self._read(decode_json(raw, _decode), top, raw, reading)
            except NotUnderstoodError as problem:
                reading.unparsed.append(
                    Unparsed(self._alone(mended, raw), _where(self._each, place, problem))
                )
        return reading

    def _elements(self, body: bytes) -> list[bytes]:
        if self._each is None:
            return [body]
        found = raw_at(body, self._each.steps)
        if found is None or not found.startswith(b"["):
            raise NotUnderstoodError("there is no list of messages at `each`")
        return [bytes(one) for one in decode_json(found, _decode_list)]

    def _alone(self, body: bytes, element: bytes) -> bytes:
        """Return the body with this one message in it, so that it is read again as it was now."""
        return body if self._each is None else raw_with(body, self._each.steps, b"[" + element + b"]")

    def _read(self, element: Any, top: Any, raw: bytes, reading: ParseResult) -> None:
        found = {key: at(top if path.from_top else element, path.steps) for key, path in self._paths.items()}
        if found.get("skip_if") not in _FALSE:
            reading.skip("own")
            return
        message = check_limits(self._message(found, raw), self._profile.max_text_bytes)
        if not (message.text or message.media or found.get("type")):
            raise NotUnderstoodError("neither text nor media")
        reading.messages.append(message)

    def _message(self, found: dict[str, Any], raw: bytes) -> Message:
        phone, chat = normalize_phone(_name(found, "phone")), _name(found, "chat")
        media = _media(found)
        return Message(
            phone=phone,
            text=_word(found, "text") or _word(found, "caption"),
            id=_name(found, "id") if "id" in self._paths else self._make_id(),
            channel=self._profile.name,
            company=_name(found, "company") or self._profile.company or None,
            account=_name(found, "account"),
            chat="" if normalize_phone(chat) == phone else chat,
            sent_ms=_time(found.get("time")),
            type=_type(_word(found, "type"), media),
            media=media,
            metadata=metadata(raw.strip(), senderName=_word(found, "name")),
        )


def _where(each: Path | None, place: int, problem: NotUnderstoodError) -> str:
    return problem.fact if each is None else f"message {place}: {problem.fact}"


def _told(given: bytes, secret: str, body: bytes) -> bool:  # noqa: ARG001 - a token is no signature
    return constant_time_equal(given, secret) | constant_time_equal(bearer(given), secret)


def _signed(given: bytes, secret: str, body: bytes) -> bool:
    if given[:7].lower() == b"sha256=":
        given = given[7:]
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return constant_time_equal(given.lower(), digest.hex()) | constant_time_equal(
        given, base64.b64encode(digest).decode()
    )


def _name(found: dict[str, Any], key: str) -> str:
    """Return what names somebody or something: a string or a whole number, which nobody can have rounded."""
    value = found.get(key)
    if isinstance(value, float):
        raise NotUnderstoodError(f"the {key} is {value!r}, not a string or a whole number")
    return _word(found, key)


def _word(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise NotUnderstoodError(f"the {key} is of type {type(value).__name__}, not a string or a number")
    return str(value)


def _time(value: Any) -> int | None:
    """Return Unix ms of a number (s or ms), a number in a string, or an ISO 8601 time; None when it is no time."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    number = unix_ms(value)
    if number is not None or not isinstance(value, str):
        return number
    try:
        moment = datetime.fromisoformat(value)
        return unix_ms((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _media(found: dict[str, Any]) -> tuple[Media, ...]:
    url, media_id = _word(found, "media_url"), _word(found, "media_id")
    if not (url or media_id):
        return ()
    mime, caption = _word(found, "media_mime"), _word(found, "caption")
    return (Media(id=media_id, url=url, mime=mime, caption=caption),)


def _type(named: str, media: tuple[Media, ...]) -> str:
    if named:
        return type_named(named)
    return type_of_mime(media[0].mime) if media else "text"
