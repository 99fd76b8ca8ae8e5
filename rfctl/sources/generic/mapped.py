"""Any other sender of JSON: the settings say at which path each fact stands. Pure.

    mapping = { each = "data.messages", phone = "sender.id", text = "body", id = "id", account = "/instance" }

A path is names and list indexes between dots. `each` is the path of a list of messages: the other paths are
then relative to its element, and one with a leading `/` goes from the top of the body. The body is trusted
once it is verified: by a token, an HMAC of the body, or X-Signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from rfctl.model.company import Company, decode_company, format_company
from rfctl.model.message import Media, Message, normalize_phone
from rfctl.sources.contract import ParseResult, Request, Source, UnparsedError
from rfctl.sources.generic import node_form
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.json_path import Path, find_raw, find_value, replace_raw
from rfctl.sources.inline_files import is_note
from rfctl.sources.parsing import (
    any_secret,
    build_id_scope,
    build_metadata,
    build_unparsed,
    check_limits,
    constant_time_equal,
    decode_json,
    decode_part,
    parse_unix_ms,
    repair_surrogates,
    strip_bearer,
)
from rfctl.sources.whatsapp_web import find_own_part, find_type, find_type_by_mime, is_no_message

_FALSE: tuple[Any, ...] = (None, False, 0, "", "0", "false", [], {})
_decode = msgspec.json.Decoder().decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Mapped(Source):
    """The source `generic` with a map."""

    def __init__(
        self,
        name: str,
        config: GenericConfig,
        max_text_bytes: int = 65_536,
        make_id: Callable[[], str] = node_form.generate_id,
    ) -> None:
        self._name = name
        self._config = config
        self._max_text_bytes = max_text_bytes
        self._paths = {key: Path.parse(path) for key, path in config.map.items()}
        self._each = self._paths.pop("each", None)
        self._make_id = make_id
        self._node = node_form.NodeForm(name, config, max_text_bytes)

    def verify(self, request: Request, now_ms: int) -> bool:
        """Say whether any secret verifies this request; `now_ms` (Unix ms) matters to `node` alone."""
        if self._config.auth == "node":
            return self._node.verify(request, now_ms)
        header = request.header((self._config.auth_header or "authorization").lower())
        is_proof = _is_signed if self._config.auth == "hmac-sha256" else _is_token
        return any_secret(self._config.secrets, lambda secret: is_proof(header, secret, request.body))

    def parse(self, body: bytes) -> ParseResult:
        """Read each message. Raises UnparsedError for a body that is not JSON or has no list at `each`."""
        repaired = repair_surrogates(self.redact(body))
        top = decode_json(repaired, _decode)
        result = ParseResult()
        refused: list[tuple[bytes, str]] = []
        for place, raw in enumerate(self._elements(repaired)):
            try:
                self._read(decode_part(raw, _decode), top, raw, result)
            except UnparsedError as problem:
                refused.append((raw, _where(self._each, place, problem)))
        if refused:
            result.unparsed.extend(build_unparsed(refused, partial(self._alone, self._around(repaired))))
        return result

    def _elements(self, body: bytes) -> list[bytes]:
        if self._each is None:
            return [body]
        elements = find_raw(body, self._each.steps)
        if elements is None or not elements.startswith(b"["):
            raise UnparsedError("there is no list of messages at `each`")
        return [bytes(element) for element in decode_part(elements, _decode_list)]

    def _around(self, body: bytes) -> bytes:
        """Return the body without its messages: to make many of it must not read all of them each time."""
        return body if self._each is None else replace_raw(body, self._each.steps, b"[]")

    def _alone(self, around: bytes, elements: Sequence[bytes]) -> bytes:
        """Return a body with only these messages in it, so that they can be parsed again."""
        listed = b"[" + b",".join(elements) + b"]"
        return around if self._each is None else replace_raw(around, self._each.steps, listed)

    def _read(self, element: Any, top: Any, raw: bytes, result: ParseResult) -> None:
        facts = {
            key: find_value(top if path.from_top else element, path.steps)
            for key, path in self._paths.items()
        }
        if facts.get("skip_if") not in _FALSE:
            result.skip("own")
            return
        message = self._message(facts, raw)
        if not (message.text or message.media or facts.get("type")):
            raise UnparsedError("neither text nor media")
        if not (message.text or message.media) and is_no_message(_word(facts, "type")):
            result.skip("event")
        else:
            result.messages.append(check_limits(message, self._max_text_bytes))

    def _message(self, facts: dict[str, Any], raw: bytes) -> Message:
        phone, chat = normalize_phone(_name(facts, "phone")), _name(facts, "chat")
        media = _media(facts)
        whole_id = _name(facts, "id") if "id" in self._paths else self._make_id()
        own_id = find_own_part(whole_id)
        return Message(
            phone=phone,
            text=_word(facts, "text") or _word(facts, "caption"),
            id=own_id,
            id_scope=self._id_scope(facts, () if own_id != whole_id else (chat, phone)),
            older_id=whole_id if own_id != whole_id else "",
            channel=self._name,
            company=_own_or(_company(facts), self._config.company),
            platform=self._config.platform,
            account=_name(facts, "account"),
            chat="" if normalize_phone(chat) == phone else chat,
            sent_ms=_time(facts.get("time")),
            type=_type(_word(facts, "type"), media),
            media=media,
            metadata=build_metadata(
                raw.strip(),
                senderName=_word(facts, "name"),
                providerId=whole_id if own_id != whole_id else "",
            ),
        )

    def _id_scope(self, facts: dict[str, Any], sender: tuple[str, ...]) -> tuple[str, ...]:
        """Return the scope of an id. Anybody's ids may be small numbers, so this source, chat and sender are in it.

        WhatsApp's are unique in an account, and its chat and sender have several spellings: then `sender` is empty.
        """
        whose = (_name(facts, "account"), format_company(_company(facts)))
        id_scope = self._config.find_id_scope(self._name)
        return build_id_scope("generic", "", id_scope, *whose, *sender)


def build_generic(name: str, config: GenericConfig, max_text_bytes: int) -> Source:
    """Return the source of these settings: with a map it reads any JSON, without one the two generic forms."""
    source = Mapped if config.map else node_form.NodeForm
    return source(name, config, max_text_bytes)


def _where(each: Path | None, place: int, problem: UnparsedError) -> str:
    return problem.fact if each is None else f"message {place}: {problem.fact}"


def _is_token(header: bytes, secret: str, body: bytes) -> bool:  # noqa: ARG001 - a token is no signature
    return constant_time_equal(header, secret) | constant_time_equal(strip_bearer(header), secret)


def _is_signed(header: bytes, secret: str, body: bytes) -> bool:
    signature = header[7:] if header[:7].lower() == b"sha256=" else header
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    in_base64 = base64.b64encode(digest).decode()
    return constant_time_equal(signature.lower(), digest.hex()) | constant_time_equal(signature, in_base64)


def _name(facts: dict[str, Any], key: str) -> str:
    """Return a fact that names a person or a thing: a string or a whole number, which nobody can have rounded."""
    value = facts.get(key)
    if isinstance(value, float):
        raise UnparsedError(f"the {key} is {value!r}, not a string or a whole number")
    return _word(facts, key)


def _company(facts: dict[str, Any]) -> Company:
    """Return the company as the body has it: a whole number stays one, and a text stays text."""
    text = _name(facts, "company")
    return facts["company"] if text and isinstance(facts["company"], int) else text or None


def _own_or(company: Company, of_the_source: int | str) -> Company:
    return decode_company(of_the_source) if company is None else company


def _word(facts: dict[str, Any], key: str) -> str:
    value = facts.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnparsedError(f"the {key} is of type {type(value).__name__}, not a string or a number")
    return str(value)


def _time(value: Any) -> int | None:
    """Return Unix ms of a number (s or ms), a number in a string, or an ISO 8601 time; None when it is no time."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    number = parse_unix_ms(value)
    if number is not None or not isinstance(value, str):
        return number
    try:
        moment = datetime.fromisoformat(value)
        return parse_unix_ms((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _media(facts: dict[str, Any]) -> tuple[Media, ...]:
    url, media_id = _word(facts, "media_url"), _word(facts, "media_id")
    url = "" if is_note(url) else url
    if not (url or media_id):
        return ()
    mime, caption = _word(facts, "media_mime"), _word(facts, "caption")
    return (Media(id=media_id, url=url, mime=mime, caption=caption),)


def _type(name: str, media: tuple[Media, ...]) -> str:
    if name:
        return find_type(name)
    return find_type_by_mime(media[0].mime) if media else "text"
