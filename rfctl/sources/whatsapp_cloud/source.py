"""WhatsApp Cloud: Meta's own webhook. Pure: a request in, messages out.

The source trusts a body only when `X-Hub-Signature-256` is the HMAC-SHA256 of its raw bytes by one of the app secrets.
Each message of each change of each entry comes back, as a message or as `unparsed`. Delivery statuses, errors and
changes of other fields are counted.

A sender without a visible number has only a business-scoped id (`from_user_id`, `contacts[].user_id`); where
there is a number too, the number is the phone and the id the alias, so that one person stays one batch; the id is
also in `metadata`.
Forms: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

import hmac
from binascii import hexlify
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from rfctl.model.company import decode_company
from rfctl.model.message import Message, Unparsed, normalize_phone
from rfctl.sources.contract import Common, ParseResult, Request, Source, UnparsedError
from rfctl.sources.handshakes import find_challenge
from rfctl.sources.parsing import (
    build_id_scope,
    build_metadata,
    build_unparsed,
    check_limits,
    decode_json,
    decode_part,
    first_nonempty,
    parse_unix_ms,
)
from rfctl.sources.signing import Keys, matches_any
from rfctl.sources.whatsapp_cloud.config import WhatsAppCloudConfig
from rfctl.sources.whatsapp_cloud.narrowing import narrow
from rfctl.sources.whatsapp_cloud.plain import PLATFORM, Account, Contact, Context, Profile, read_plain
from rfctl.sources.whatsapp_cloud.renaming import read_renaming
from rfctl.sources.whatsapp_cloud.schema import BY_HAND, FIELDS, Content, is_event, read_part


class _Value(msgspec.Struct):
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    contacts: list[msgspec.Raw] | None = None
    messages: list[msgspec.Raw] | None = None
    statuses: list[msgspec.Raw] | None = None
    errors: list[msgspec.Raw] | None = None
    message_echoes: list[msgspec.Raw] | None = None


class _Change(msgspec.Struct):
    field: str = "messages"
    value: msgspec.Raw = msgspec.Raw(b"{}")


class _Entry(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b'""')
    changes: list[msgspec.Raw] = []


class _Body(msgspec.Struct):
    entry: list[msgspec.Raw] = []


class _Message(msgspec.Struct, rename={"sender": "from"}):
    id: str | None = None
    sender: str | int | None = None
    to: str | int | None = None
    from_user_id: str | None = None
    group_id: str | None = None
    timestamp: str | int | float | None = None
    type: str | None = None
    context: Context | None = None


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_change = msgspec.json.Decoder(_Change).decode
_decode_value = msgspec.json.Decoder(_Value).decode
_decode_account = msgspec.json.Decoder(Account).decode
_decode_contact = msgspec.json.Decoder(Contact).decode
_decode_message = msgspec.json.Decoder(_Message).decode


class WhatsAppCloud(Source):
    """The source `whatsapp-cloud`. Its secrets are app secrets, `verify_token` is what the handshake must name."""

    proof_headers = ("x-hub-signature-256",)

    def __init__(self, name: str, config: WhatsAppCloudConfig, max_text_bytes: int = 65_536) -> None:
        self._name = name
        self._config = config
        self._max_text_bytes = max_text_bytes
        self._keys = Keys(config.secrets, "sha256")
        company = decode_company(config.company)
        self._common = Common(name, company, config.find_id_scope(name), max_text_bytes)

    def verify(self, request: Request, now_ms: int) -> bool:  # noqa: ARG002 - Meta signs no time
        """Say whether one of the app secrets signed exactly these bytes."""
        signature = request.header("x-hub-signature-256")
        return matches_any(signature, map(_format_signature, self._keys.sign(request.body)))

    def handshake(self, request: Request) -> str | None:
        """Return the challenge of a subscription that names our verify token; None rejects it."""
        return find_challenge(request.query, self._config.verify_token)

    def parse(self, body: bytes) -> ParseResult:
        """Parse every message of the request. Raises UnparsedError when no part of it can be parsed."""
        body = self.redact(body)
        return read_plain(body, self._common) or self._read_any(body)

    def narrow(self, body: bytes, account: str) -> bytes:
        """Return a body with only the changes of this number."""
        return narrow(self.redact(body), account)

    def _read_any(self, body: bytes) -> ParseResult:
        result = ParseResult()
        for raw in decode_json(body, _decode_body).entry:
            self._read_entry(raw, result)
        if not (result.messages or result.unparsed or result.skipped):
            raise UnparsedError("no change in it: is this a WhatsApp webhook?")
        return result

    def _read_entry(self, raw: msgspec.Raw, result: ParseResult) -> None:
        try:
            entry: _Entry = decode_part(bytes(raw), _decode_entry)
        except UnparsedError as problem:
            result.unparsed.append(Unparsed(_request(raw), problem.fact))
            return
        for change in entry.changes:
            self._read_change(entry, change, result)

    def _read_change(self, entry: _Entry, raw: bytes, result: ParseResult) -> None:
        try:
            change = decode_part(bytes(raw), _decode_change)
            if change.field == BY_HAND and self._config.wants_own:
                self._read_echoes(bytes(change.value), _envelope(entry, raw), result)
                return
            if change.field in FIELDS:
                result.skip(FIELDS[change.field])
                return
            if change.field != "messages":
                raise UnparsedError(f"a field that rfctl does not know: {change.field[:64]}")
            value = decode_part(bytes(change.value), _decode_value)
            account = decode_part(bytes(value.metadata), _decode_account)
        except UnparsedError as problem:
            result.unparsed.append(Unparsed(_envelope(entry, raw), problem.fact))
            return
        if value.messages is None and value.statuses is None and value.errors is None:
            result.unparsed.append(
                Unparsed(_envelope(entry, raw), "neither messages nor statuses nor errors")
            )
            return
        self._read_value(entry, value, account, result)

    def _read_value(self, entry: _Entry, value: _Value, account: Account, result: ParseResult) -> None:
        contacts = _contacts(value.contacts or [])
        refused: list[tuple[bytes, str]] = []
        for raw in value.messages or []:
            try:
                if is_event(bytes(raw)):
                    result.skip("event")
                    if renaming := read_renaming(bytes(raw), self._name):
                        result.renamings.append(renaming)
                    continue
                message = self._message(bytes(raw), contacts, account)
            except UnparsedError as problem:
                refused.append((bytes(raw), problem.fact))
                continue
            if message.phone == normalize_phone(str(account.display_phone_number)):
                result.skip("own")
            else:
                result.messages.append(message)
        result.unparsed.extend(build_unparsed(refused, partial(_only, entry, value)))
        for _ in value.statuses or []:
            result.skip("status")
        for _ in value.errors or []:
            result.skip("error")

    def _read_echoes(self, raw_value: bytes, whole: bytes, result: ParseResult) -> None:
        """Read what the owner wrote in the business app: the person is `to`. What the API sends is not among it."""
        value: _Value = decode_part(raw_value, _decode_value)
        account = decode_part(bytes(value.metadata), _decode_account)
        for raw in value.message_echoes or []:
            try:
                to = normalize_phone(str(decode_part(bytes(raw), _decode_message).to or ""))
                message = replace(self._message(bytes(raw), [], account), phone=to, alias="")
                result.add_own(check_limits(message, self._max_text_bytes))
            except UnparsedError as problem:
                result.unparsed.append(Unparsed(whole, problem.fact))

    def _message(self, raw: bytes, contacts: list[Contact], account: Account) -> Message:
        item: _Message = decode_part(raw, _decode_message)
        contact = _match(item, contacts)
        content = read_part(item.type, raw)
        message = Message(
            phone=_sender(item, contact),
            alias=normalize_phone(first_nonempty(item.from_user_id, contact.user_id)),
            text=content.text,
            id=item.id or "",
            id_scope=self._id_scope(str(account.phone_number_id)),
            channel=self._name,
            company=decode_company(self._config.company),
            platform=PLATFORM,
            account=str(account.phone_number_id),
            chat=item.group_id or "",
            sent_ms=parse_unix_ms(item.timestamp),
            type=content.type,
            media=content.media,
            refers=first_nonempty(content.refers, item.context.id if item.context else ""),
            metadata=_metadata(raw, item, contact, content),
        )
        return check_limits(message, self._max_text_bytes)

    def _id_scope(self, account: str) -> tuple[str, ...]:
        return build_id_scope("whatsapp-cloud", account, self._config.find_id_scope(self._name))


def sign(secret: str, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256` for these bytes."""
    return _format_signature(hmac.digest(secret.encode(), body, "sha256")).decode()


def _format_signature(digest: bytes) -> bytes:
    return b"sha256=" + hexlify(digest)


def _contacts(raws: list[msgspec.Raw]) -> list[Contact]:
    """Return the contacts that can be read; one that cannot costs a name, not a message."""
    return [contact for raw in raws if (contact := _or_none(bytes(raw), _decode_contact)) is not None]


def _or_none(raw: bytes, decode: Callable[[bytes], Any]) -> Any:
    try:
        return decode_part(raw, decode)
    except UnparsedError:
        return None


def _match(item: _Message, contacts: list[Contact]) -> Contact:
    """Return the contact who sent this message, an empty one when there is none (as with `system`).

    A message that names no sender at all, as a shared number does, is from the only contact.
    """
    sender = str(item.sender or "")
    if not sender and not item.from_user_id:
        return contacts[0] if len(contacts) == 1 else Contact()
    for contact in contacts:
        if (sender and contact.wa_id == sender) or (
            item.from_user_id and contact.user_id == item.from_user_id
        ):
            return contact
    return Contact()


def _sender(item: _Message, contact: Contact) -> str:
    number = first_nonempty(str(item.sender or ""), contact.wa_id)
    return normalize_phone(number or first_nonempty(item.from_user_id, contact.user_id))


def _metadata(raw: bytes, item: _Message, contact: Contact, content: Content) -> bytes:
    profile = contact.profile or Profile()
    return build_metadata(
        raw,
        senderName=profile.name,
        username=profile.username,
        userId=first_nonempty(item.from_user_id, contact.user_id),
        location=content.location,
        contacts=content.contacts,
        button=content.button,
        answers=content.answers,
    )


def _request(entry: Any) -> bytes:
    """Return a body that holds just this entry."""
    return msgspec.json.encode({"object": "whatsapp_business_account", "entry": [entry]})


def _envelope(entry: _Entry, change: bytes) -> bytes:
    """Return a body that holds just this change."""
    return _request({"id": entry.id, "changes": [msgspec.Raw(change)]})


def _only(entry: _Entry, value: _Value, messages: Sequence[bytes]) -> bytes:
    """Return a body that holds just these messages, with what belongs to them."""
    alone = {
        "messaging_product": "whatsapp",
        "metadata": value.metadata,
        "contacts": value.contacts or [],
        "messages": [msgspec.Raw(message) for message in messages],
    }
    return _envelope(entry, msgspec.json.encode({"field": "messages", "value": alone}))
