"""GREEN-API, a hosted gateway: its webhook, one notification a request. Pure.

The source trusts nothing before the token: the value of `webhookUrlToken` comes in the Authorization header, as
`Bearer <token>` or as it was written (a token `Basic …` stays so). The body is not signed.

- Only `incomingMessageReceived` brings a message; edits and deletions are kinds of it. Formats:
  https://green-api.com/en/docs/api/receiving/notifications-format/
- WhatsApp, Telegram and MAX come in one form; a group is `…@g.us`, or an id with a minus
  (https://green-api.com/en/telegram/docs/api/chat-id/).
- Ids are bare, and an edit or a deletion names its message by the same one; `jpegThumbnail`, a picture in
  base64, is not kept.
- A text `{{SWE001}}` is the gateway's word for a message that it could not read; it is kept as text.
"""

from __future__ import annotations

import msgspec

from rfctl.model.company import decode_company
from rfctl.model.message import Message, Unparsed, normalize_phone
from rfctl.sources.contract import ParseResult, Request, Source, UnparsedError
from rfctl.sources.forms import Answers, format_form, read_native_flow
from rfctl.sources.green_api.config import GreenApiConfig
from rfctl.sources.green_api.schema import (
    Body,
    build_location,
    build_media,
    find_button,
    find_message_type,
    find_reference,
    find_text,
    list_contacts,
)
from rfctl.sources.parsing import (
    any_secret,
    build_id_scope,
    build_metadata,
    check_limits,
    constant_time_equal,
    decode_json,
    decode_part,
    first_nonempty,
    parse_unix_ms,
    repair_surrogates,
    strip_bearer,
    strip_fields,
)
from rfctl.sources.whatsapp_web import is_no_message

_MESSAGE = "incomingMessageReceived"
_BY_HAND = "outgoingMessageReceived"
"""What was written on the phone; what the API sends is outgoingAPIMessageReceived."""
_SKIPPED = {
    "outgoingMessageReceived": "own",
    "outgoingAPIMessageReceived": "own",
    "outgoingMessageStatus": "status",
    **dict.fromkeys(
        (
            "stateInstanceChanged", "statusInstanceChanged", "deviceInfo", "incomingCall", "outgoingCall", "incomingBlock",
            "quotaExceeded", "avatarInfo", "contactInfo",
        ),
        "event",
    ),
}  # fmt: skip
"""The notifications that bring no message of a person (https://green-api.com/en/docs/api/receiving/)."""
_MAX = "v3"
"""What GREEN-API calls the messenger MAX."""
_HEAVY = frozenset({"jpegThumbnail", "base64"})


class _Notification(msgspec.Struct):
    typeWebhook: str  # noqa: N815 - the provider's name


class _Parts(msgspec.Struct):
    messageData: dict[str, msgspec.Raw]  # noqa: N815


_decode_notification = msgspec.json.Decoder(_Notification).decode
_decode_parts = msgspec.json.Decoder(_Parts).decode
_decode_body = msgspec.json.Decoder(Body).decode


class GreenApi(Source):
    """The source `green-api`. Its secrets are values of `webhookUrlToken`."""

    proof_headers = ("authorization",)

    def __init__(self, name: str, config: GreenApiConfig, max_text_bytes: int = 65_536) -> None:
        self._name = name
        self._config = config
        self._max_text_bytes = max_text_bytes

    def verify(self, request: Request, now_ms: int) -> bool:  # noqa: ARG002 - a token carries no time
        """Say whether any secret is the token that was sent."""
        header = request.header("authorization")
        return any_secret(
            self._config.secrets,
            lambda secret: (
                constant_time_equal(header, secret) | constant_time_equal(strip_bearer(header), secret)
            ),
        )

    def parse(self, body: bytes) -> ParseResult:
        """Read the notification. Raises UnparsedError when it is none."""
        body = self.redact(body)
        kind = decode_json(body, _decode_notification).typeWebhook
        result = ParseResult()
        is_own = kind == _BY_HAND and self._config.wants_own
        if kind in _SKIPPED and not is_own:
            result.skip(_SKIPPED[kind])
            return result
        if kind != _MESSAGE and not is_own:
            raise UnparsedError(f"a notification that rfctl does not know: {kind[:64]}")
        try:
            self._read(body, result, is_own=is_own)
        except UnparsedError as problem:
            result.unparsed.append(Unparsed(body, problem.fact))
        return result

    def _read(self, raw: bytes, result: ParseResult, *, is_own: bool) -> None:
        raw = repair_surrogates(raw)
        body = decode_part(raw, _decode_body)
        is_post = body.senderData.chatType == "channel"  # to everybody, not to us
        if is_post or is_no_message(body.messageData.typeMessage):
            result.skip("event")
        elif not is_own:
            result.messages.append(self._message(body, raw))
        elif body.in_group:  # it is to nobody alone
            result.skip("own")
        else:
            message = self._message(body, raw)
            result.add_own(
                msgspec.structs.replace(message, phone=normalize_phone(body.senderData.chatId or ""))
            )

    def _message(self, body: Body, raw: bytes) -> Message:
        instance, answers = body.instanceData, _read_form(raw)
        message = Message(
            phone=_phone(body),
            text=find_text(body) if answers is None else format_form(answers),
            id=body.idMessage or "",
            id_scope=self._id_scope(body),
            channel=self._name,
            company=decode_company(self._config.company),
            platform="max" if instance.typeInstance == _MAX else instance.typeInstance or "whatsapp",
            account="" if instance.idInstance is None else str(instance.idInstance),
            chat=body.senderData.chatId or "" if body.in_group else "",
            sent_ms=parse_unix_ms(body.timestamp),
            type=find_message_type(body.messageData) if answers is None else "form",
            media=build_media(body.messageData),
            refers=find_reference(body.messageData),
            metadata=_metadata(body, raw, answers),
        )
        return check_limits(message, self._max_text_bytes)

    def _id_scope(self, body: Body) -> tuple[str, ...]:
        """Return the scope of ids. Only WhatsApp's are unique in an account; those of other messengers may count in a chat."""
        instance, sender = body.instanceData, body.senderData
        account = "" if instance.idInstance is None else str(instance.idInstance)
        is_whatsapp = (instance.typeInstance or "whatsapp") == "whatsapp"
        narrower = () if is_whatsapp else (sender.chatId or "", sender.sender or "")
        return build_id_scope("green-api", account, self._config.find_id_scope(self._name), *narrower)


def _read_form(raw: bytes) -> Answers | None:
    # Only WhatsApp's own object has it. It is not documented, and no other message costs a second reading.
    return read_native_flow(decode_part(raw, _decode_parts).messageData) if b"aramsJ" in raw else None


def _phone(body: Body) -> str:
    """Return the sender's phone; "" in a group where the group itself is named as the sender."""
    sender, chat = body.senderData.sender or "", body.senderData.chatId or ""
    if body.in_group:
        return "" if sender == chat else normalize_phone(sender)
    return normalize_phone(first_nonempty(sender, chat))


def _metadata(body: Body, raw: bytes, answers: Answers | None) -> bytes:
    sender = body.senderData
    return build_metadata(
        strip_fields(raw.strip(), _HEAVY),
        senderName=first_nonempty(sender.senderName, sender.senderContactName),
        location=build_location(body.messageData),
        contacts=list_contacts(body.messageData),
        button=find_button(body.messageData),
        answers=answers,
    )
