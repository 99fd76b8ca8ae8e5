"""WAHA (devlikeapro/waha), a self-hosted WhatsApp gateway: its webhook, one event a request. Pure.

The source trusts nothing before its signature: X-Webhook-Hmac is the hex HMAC-SHA512 of the raw body, and
X-Webhook-Hmac-Algorithm says `sha512` (https://waha.devlike.pro/docs/how-to/events/).

- `message` and `message.any` bring the same message under one id; so does a retry.
- A message id is `false_<chat>_<id>`, in a group `false_<chat>_<id>_<sender>` (src/core/utils/ids.ts of the
  repository), but `replyTo.id`, `editedMessageId` and `revokedMessageId` are `<id>` alone. One message may come twice, with
  its chat as a number and as an `@lid`. So our id is `<id>` alone, and so is `refers`; `metadata.providerId` is the whole.
- `me.id` is the account; a `session` is one server's name for it, often `default`.
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

from rfctl.model.company import decode_company
from rfctl.model.message import Message, Unparsed, normalize_phone
from rfctl.sources.contract import ParseResult, Request, Source, UnparsedError
from rfctl.sources.parsing import (
    any_secret,
    build_id_scope,
    build_metadata,
    check_limits,
    constant_time_equal,
    decode_json,
    decode_part,
    first_nonempty,
    join_lines,
    parse_unix_ms,
    strip_fields,
)
from rfctl.sources.waha.config import WahaConfig
from rfctl.sources.waha.schema import (
    EVENTS,
    Data,
    Payload,
    Revoked,
    Voted,
    build_media,
    decode_engine_data,
    find_album,
    find_alias,
    find_button,
    find_message_type,
    find_sender,
    find_text,
    is_no_message,
    list_contacts,
)
from rfctl.sources.whatsapp_web import find_own_part

_MESSAGES = ("message", "message.any", "message.reaction", "message.edited", "message.revoked", "poll.vote")
_STATUSES = ("message.ack", "message.ack.group")
_NOT_TO_US = ("status@broadcast", "@newsletter")
_HEAVY = frozenset({"_data", "thumbnail", "jpegThumbnail", "base64"})


class _Me(msgspec.Struct):
    id: str | None = None


class _Event(msgspec.Struct):
    event: str
    session: str | None = None
    me: msgspec.Raw = msgspec.Raw(b"{}")
    id: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"null")


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_me = msgspec.json.Decoder(_Me).decode
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

    proof_headers = ("x-webhook-hmac",)

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
        body = self.redact(body)
        event = decode_json(body, _decode_event)
        result = ParseResult()
        if event.event in _STATUSES or event.event in EVENTS:
            result.skip("status" if event.event in _STATUSES else "event")
            return result
        try:
            self._read(event, result)
        except UnparsedError as problem:
            result.unparsed.append(Unparsed(body, problem.fact))
        return result

    def _read(self, event: _Event, result: ParseResult) -> None:
        if event.event not in _MESSAGES:
            raise UnparsedError(f"an event that rfctl does not know: {event.event[:64]}")
        payload, refers = _payload(event)
        data = decode_engine_data(payload)
        if payload.is_by_hand and self._config.wants_own and event.event == "message.any":
            to = msgspec.structs.replace(payload, sender=payload.receiver, data=msgspec.Raw(b"{}"))
            result.add_own(self._message(event, to, refers, data))
        elif payload.fromMe:
            result.skip("own")
        elif (payload.sender or "").endswith(_NOT_TO_US) or (
            event.event in ("message", "message.any") and is_no_message(payload, data)
        ):
            result.skip("event")
        else:
            result.messages.append(self._message(event, payload, refers, data))

    def _message(self, event: _Event, payload: Payload, refers: str, data: Data) -> Message:
        content = _content(event, payload, refers, data)
        message = Message(
            phone=normalize_phone(find_sender(payload, data)),
            alias=find_alias(payload, data),
            text=content.text,
            id=content.id,
            id_scope=self._id_scope(event),
            older_id=payload.id or "" if content.id == find_own_part(payload.id or "") else "",
            channel=self._name,
            company=decode_company(self._config.company),
            platform="whatsapp",
            account=event.session or "",
            chat=payload.sender or "" if payload.in_group else "",
            sent_ms=_sent_ms(event, payload, data),
            type=content.type,
            media=build_media(payload) if content.type not in ("deletion", "reaction") else (),
            refers=content.refers,
            metadata=_metadata(event, payload, data),
            album=find_album(payload, data) if content.type not in ("edit", "deletion", "reaction") else "",
        )
        return check_limits(message, self._max_text_bytes)

    def _id_scope(self, event: _Event) -> tuple[str, ...]:
        try:
            me = decode_part(bytes(event.me), _decode_me).id
        except UnparsedError:  # null, or another shape
            me = None
        fallback = self._config.find_id_scope(self._name)
        return build_id_scope("waha", normalize_phone(me or ""), fallback, "" if me else event.session or "")


def _sign(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha512).hexdigest()


def _payload(event: _Event) -> tuple[Payload, str]:
    """Return the message that an event shows, and the id of the one that it changes or answers."""
    if event.event == "poll.vote":
        voted = decode_part(bytes(event.payload), _decode_voted)
        return voted.vote, find_own_part((voted.poll.id or "") if voted.poll else "")
    if event.event != "message.revoked":
        payload = decode_part(bytes(event.payload), _decode_payload)
        return payload, find_own_part(payload.editedMessageId or "")
    revoked = decode_part(bytes(event.payload), _decode_revoked)
    shown = revoked.after or revoked.before
    if shown is None:
        raise UnparsedError("a deletion that does not say whose")
    before = revoked.before.id if revoked.before else ""
    return shown, find_own_part(first_nonempty(revoked.revokedMessageId, before, shown.id))


def _sent_ms(event: _Event, payload: Payload, data: Data) -> int | None:
    edited_ms = parse_unix_ms(data.edited) if event.event == "message.edited" else None
    return edited_ms or parse_unix_ms(payload.timestamp)


def _content(event: _Event, payload: Payload, refers: str, data: Data) -> _Content:
    own_id = find_own_part(payload.id or "")
    if event.event == "message.reaction":
        if payload.reaction is None:
            raise UnparsedError("a reaction without its reaction")
        about = find_own_part(payload.reaction.messageId or "")
        return _Content("reaction", payload.reaction.text or "", own_id, about)
    if event.event == "message.edited":
        about = first_nonempty(refers, own_id)
        return _Content("edit", payload.body or "", _change_id(event, payload, about), about)
    if event.event == "message.revoked":
        return _Content("deletion", "", _change_id(event, payload, refers), refers)
    if event.event == "poll.vote":
        return _Content("poll", join_lines(payload.selectedOptions or []), own_id, refers)
    answered = find_own_part(payload.replyTo.id or "") if payload.replyTo else ""
    return _Content(find_message_type(payload, data), find_text(payload, data), own_id, answered)


def _change_id(event: _Event, payload: Payload, about: str) -> str:
    """Return an id of an edit or a deletion: not that of the message which it is about, and the same at every retry."""
    own_id = find_own_part(payload.id or "")
    if own_id and own_id != about:
        return own_id
    digest = hashlib.sha256((payload.body or "").encode()).hexdigest()[:16]
    return first_nonempty(event.id, f"{event.event}_{about}_{digest}" if about else "")


def _metadata(event: _Event, payload: Payload, data: Data) -> bytes:
    return build_metadata(
        strip_fields(bytes(event.payload), _HEAVY),
        senderName=first_nonempty(data.notifyName, data.pushName, data.Info.PushName if data.Info else ""),
        location=payload.location,
        contacts=list_contacts(payload),
        button=find_button(payload),
        providerId=payload.id,
        answers=data.answers if event.event in ("message", "message.any") else None,
    )
