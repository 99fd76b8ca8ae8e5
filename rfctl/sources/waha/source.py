"""WAHA (devlikeapro/waha), a self-hosted WhatsApp gateway: its webhook, one event a request. Pure.

The source trusts nothing before its signature: X-Webhook-Hmac is the hex HMAC-SHA512 of the raw body, and
X-Webhook-Hmac-Algorithm says `sha512` (https://waha.devlike.pro/docs/how-to/events/).

- `message` and `message.any` bring the same message under one id; so does a retry.
- A message id is `false_<chat>_<id>`, in a group `false_<chat>_<id>_<sender>` (src/core/utils/ids.ts of the
  repository), but `replyTo.id`, `editedMessageId` and `revokedMessageId` are `<id>` alone. Where the sender
  wrote both messages, `refers` is made whole by the id of this one. In a group a reply or a deletion may be
  about another's message, and then `refers` stays as it came; that a deletion is of one's own is said by
  `protocolMessage.key.fromMe` in `_data` (GOWS, NOWEB), or by `before` (WEBJS), and by nothing else.
- An edit on WEBJS has the first message's `timestamp`; when it was edited is in `_data`.
- `poll.vote` is a person's answer: all that is chosen now (https://waha.devlike.pro/docs/how-to/polls/).
- An edit or a deletion may repeat the id of the message that it is about, which would look like a retry of
  that one: it then goes by the event's own id.
- A sender who is only an `@lid` goes by the phone where the engine knows it: `_data.Info.SenderAlt` (GOWS),
  `_data.key.remoteJidAlt` and `participantAlt` (NOWEB). `_data` itself, the engine's own object with
  pictures in base64, is not kept.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import msgspec

from rfctl.model.message import Message, Unparsed, normalize_phone
from rfctl.sources.contract import ParseResult, Request, Source, UnparsedError
from rfctl.sources.parsing import (
    any_secret,
    build_metadata,
    check_limits,
    constant_time_equal,
    decode_json,
    first_nonempty,
    join_lines,
    parse_unix_ms,
    strip_fields,
)
from rfctl.sources.waha.config import WahaConfig
from rfctl.sources.waha.schema import (
    Data,
    Payload,
    Revoked,
    Voted,
    build_media,
    decode_engine_data,
    find_alias,
    find_button,
    find_message_type,
    find_sender,
    find_text,
    list_contacts,
)

_MESSAGES = ("message", "message.any", "message.reaction", "message.edited", "message.revoked", "poll.vote")
_STATUSES = ("message.ack", "message.ack.group")
_NOT_TO_US = ("status@broadcast", "@newsletter")
_HEAVY = frozenset({"_data", "thumbnail", "jpegThumbnail"})


class _Event(msgspec.Struct):
    event: str
    session: str | None = None
    id: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_payload = msgspec.json.Decoder(Payload).decode
_decode_revoked = msgspec.json.Decoder(Revoked).decode
_decode_voted = msgspec.json.Decoder(Voted).decode


@dataclass(frozen=True, slots=True)
class _Content:
    type: str
    text: str
    id: str
    refers: str = ""


class Waha(Source):
    """The source `waha`. Its secrets are the `hmac.key` of the session's webhook."""

    def __init__(self, name: str, config: WahaConfig, max_text_bytes: int = 65_536) -> None:
        self._name = name
        self._config = config
        self._max_text_bytes = max_text_bytes

    def verify(self, request: Request, now_ms: int) -> bool:  # noqa: ARG002 - the signature carries no time
        """Say whether any secret signed the body with HMAC-SHA512."""
        if request.header("x-webhook-hmac-algorithm").lower() != b"sha512":
            return False
        signature = request.header("x-webhook-hmac").lower()
        return any_secret(
            self._config.secrets, lambda secret: constant_time_equal(signature, _sign(secret, request.body))
        )

    def parse(self, body: bytes) -> ParseResult:
        """Read the event. Raises UnparsedError when it is none."""
        event = decode_json(body, _decode_event)
        result = ParseResult()
        if event.event not in _MESSAGES:
            result.skip("status" if event.event in _STATUSES else "event")
            return result
        try:
            self._read(event, result)
        except UnparsedError as problem:
            result.unparsed.append(Unparsed(body, problem.fact))
        return result

    def _read(self, event: _Event, result: ParseResult) -> None:
        payload, refers = _payload(event)
        if payload.fromMe:
            result.skip("own")
        elif (payload.sender or "").endswith(_NOT_TO_US):
            result.skip("event")
        else:
            result.messages.append(self._message(event, payload, refers))

    def _message(self, event: _Event, payload: Payload, refers: str) -> Message:
        data = decode_engine_data(payload)
        content = _content(event, payload, refers, data)
        message = Message(
            phone=normalize_phone(find_sender(payload, data)),
            alias=find_alias(payload, data),
            text=content.text,
            id=content.id,
            channel=self._name,
            company=self._config.company or None,
            platform="whatsapp",
            account=event.session or "",
            chat=payload.sender or "" if payload.in_group else "",
            sent_ms=_sent_ms(event, payload, data),
            type=content.type,
            media=build_media(payload) if content.type not in ("deletion", "reaction") else (),
            refers=content.refers,
            metadata=_metadata(event, payload, data),
        )
        return check_limits(message, self._max_text_bytes)


def _sign(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha512).hexdigest()


def _payload(event: _Event) -> tuple[Payload, str]:
    """Return the message that an event shows, and the id of the one that it changes or answers."""
    if event.event == "poll.vote":
        voted = decode_json(bytes(event.payload), _decode_voted)
        return voted.vote, (voted.poll.id or "") if voted.poll else ""
    if event.event != "message.revoked":
        payload = decode_json(bytes(event.payload), _decode_payload)
        return payload, _whole_id(payload.editedMessageId or "", payload.id or "")
    revoked = decode_json(bytes(event.payload), _decode_revoked)
    payload = revoked.after or revoked.before
    if payload is None:
        raise UnparsedError("a deletion that does not say whose")
    return payload, _deleted_id(revoked, payload)


def _deleted_id(revoked: Revoked, payload: Payload) -> str:
    revoked_id, before = revoked.revokedMessageId or "", (revoked.before.id or "") if revoked.before else ""
    if before and (not revoked_id or _last_part(before) == _last_part(revoked_id)):
        return before
    # In a group an admin deletes what another wrote.
    own = not payload.in_group or decode_engine_data(payload).deletes_own
    return first_nonempty(_whole_id(revoked_id, payload.id or "") if own else revoked_id, payload.id)


def _answered_id(payload: Payload) -> str:
    answered = payload.replyTo
    if answered is None or not answered.id:
        return ""
    sender = payload.participant if payload.in_group else payload.sender
    own = bool(sender) and answered.participant == sender
    return _whole_id(answered.id, payload.id or "") if own else answered.id


def _whole_id(bare: str, beside: str) -> str:
    """Return the id of a message whose sender also sent the one with the id `beside`, in the same chat."""
    parts = beside.split("_")
    if not bare or "_" in bare or parts[0] != "false" or len(parts) not in (3, 4):
        return bare
    return "_".join([*parts[:2], bare, *parts[3:]])


def _sent_ms(event: _Event, payload: Payload, data: Data) -> int | None:
    edited_ms = parse_unix_ms(data.edited) if event.event == "message.edited" else None
    return edited_ms or parse_unix_ms(payload.timestamp)


def _content(event: _Event, payload: Payload, refers: str, data: Data) -> _Content:
    payload_id = payload.id or ""
    if event.event == "message.reaction":
        if payload.reaction is None:
            raise UnparsedError("a reaction without its reaction")
        return _Content("reaction", payload.reaction.text or "", payload_id, payload.reaction.messageId or "")
    if event.event == "message.edited":
        about = first_nonempty(refers, payload_id)
        return _Content("edit", payload.body or "", _own_id(event, payload, about), about)
    if event.event == "message.revoked":
        return _Content("deletion", "", _own_id(event, payload, refers), refers)
    if event.event == "poll.vote":
        return _Content("poll", join_lines(payload.selectedOptions or []), payload_id, refers)
    return _Content(find_message_type(payload, data), find_text(payload), payload_id, _answered_id(payload))


def _own_id(event: _Event, payload: Payload, about: str) -> str:
    """Return an id that is not that of the message which the event is about, and is the same at every retry."""
    payload_id = payload.id or ""
    if payload_id and _last_part(payload_id) != _last_part(about):
        return payload_id
    digest = hashlib.sha256((payload.body or "").encode()).hexdigest()[:16]
    return first_nonempty(
        event.id, f"{event.event}_{first_nonempty(payload_id, about)}_{digest}" if payload_id or about else ""
    )


def _last_part(message_id: str) -> str:
    parts = message_id.split("_")
    return parts[2] if len(parts) > 2 and parts[0] in ("true", "false") else message_id


def _metadata(event: _Event, payload: Payload, data: Data) -> bytes:
    return build_metadata(
        strip_fields(bytes(event.payload), _HEAVY),
        senderName=first_nonempty(data.notifyName, data.pushName, data.Info.PushName if data.Info else ""),
        location=payload.location,
        contacts=list_contacts(payload),
        button=find_button(payload),
    )
