"""The short way through a WhatsApp Cloud request that holds texts and delivery statuses alone. Pure.

The request is decoded once, and each message once. Anything unusual makes `read_plain` return None. The source then
reads the whole request the long way, so both ways give the same result.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rfctl.model.message import Message, normalize_phone
from rfctl.model.strict_json import find_json_fault
from rfctl.sources.contract import Common, ParseResult, UnparsedError
from rfctl.sources.parsing import build_id_scope, check_limits, decode_json, parse_unix_ms


class Account(msgspec.Struct, gc=False):
    """Which of our numbers was written to."""

    phone_number_id: str | int = ""
    display_phone_number: str | int = ""


class Profile(msgspec.Struct, gc=False):
    """How a person is named."""

    name: str | None = None
    username: str | None = None


class Contact(msgspec.Struct, gc=False):
    """Who wrote."""

    profile: Profile | None = None
    wa_id: str | None = None
    user_id: str | None = None


class Context(msgspec.Struct, gc=False):
    """The message that this one answers."""

    id: str | None = None


class _Words(msgspec.Struct, gc=False):
    body: str


class _Text(msgspec.Struct, rename={"sender": "from"}, gc=False):
    """A text whose sender has a visible number. `from_user_id` makes it an unusual one."""

    sender: str
    id: str
    type: Literal["text"]
    text: _Words
    timestamp: str | int | float | None = None
    group_id: str | None = None
    context: Context | None = None
    from_user_id: None = None


class _Value(msgspec.Struct, gc=False):
    """What happened at one of our numbers. An error makes the request an unusual one."""

    metadata: Account = msgspec.field(default_factory=Account)
    contacts: list[Contact] | None = None
    messages: list[msgspec.Raw] | None = None
    statuses: list[msgspec.Raw] | None = None
    errors: None = None


class _Change(msgspec.Struct, gc=False):
    value: _Value
    field: Literal["messages"] = "messages"


class _Entry(msgspec.Struct, gc=False):
    changes: list[_Change]


class _Body(msgspec.Struct, gc=False):
    entry: list[_Entry]


class _Metadata(msgspec.Struct, omit_defaults=True, gc=False):
    senderName: str = ""  # noqa: N815 - the stored name
    username: str = ""
    userId: str = ""  # noqa: N815 - the stored name
    raw: msgspec.Raw = msgspec.Raw(b"")


PLATFORM = "whatsapp"
_decode_body = msgspec.json.Decoder(_Body).decode
_decode_text = msgspec.json.Decoder(_Text).decode
_encode = msgspec.json.Encoder().encode
_NAMELESS = Profile()
_NOBODY = Contact()


def read_plain(body: bytes, common: Common) -> ParseResult | None:
    """Return what a plain request contains, None for one that must be read the long way."""
    result = ParseResult()
    try:
        for entry in decode_json(body, _decode_body).entry:
            for change in entry.changes:
                _read_value(change.value, result, common)
    except (UnparsedError, msgspec.DecodeError, RecursionError):
        return None
    return result if result.messages or result.skipped else None


def _read_value(value: _Value, result: ParseResult, common: Common) -> None:
    """Add what a value contains to the result. Raises UnparsedError or DecodeError when it is not plain."""
    if value.messages is None and value.statuses is None:
        raise UnparsedError("neither messages nor statuses")
    account = str(value.metadata.phone_number_id)
    own = normalize_phone(str(value.metadata.display_phone_number))
    scope = build_id_scope("whatsapp-cloud", account, common.id_scope)
    contacts: dict[str | None, Contact] = {}
    for contact in value.contacts or ():
        contacts.setdefault(contact.wa_id, contact)
    for raw in value.messages or ():
        message = check_limits(_build_message(raw, contacts, account, scope, common), common.max_text_bytes)
        if message.phone == own:
            result.skip("own")
        else:
            result.messages.append(message)
    for _ in value.statuses or ():
        result.skip("status")


def _build_message(
    raw: msgspec.Raw,
    contacts: dict[str | None, Contact],
    account: str,
    scope: tuple[str, ...],
    common: Common,
) -> Message:
    item: _Text = _decode_text(raw)
    if not item.sender:
        raise UnparsedError("a sender without a visible number")
    if fault := find_json_fault(bytes(raw)):
        raise UnparsedError(fault)
    contact = contacts.get(item.sender) or _NOBODY
    profile, user_id = contact.profile or _NAMELESS, contact.user_id or ""
    return Message(
        phone=normalize_phone(item.sender),
        text=item.text.body,
        id=item.id,
        channel=common.channel,
        company=common.company,
        platform=PLATFORM,
        account=account,
        chat=item.group_id or "",
        sent_ms=parse_unix_ms(item.timestamp),
        refers=(item.context.id or "") if item.context else "",
        metadata=_encode(_Metadata(profile.name or "", profile.username or "", user_id, raw)),
        alias=normalize_phone(user_id) if user_id else "",
        id_scope=scope,
    )
