"""The short way through a WhatsApp Cloud request that holds texts and delivery statuses alone. Pure.

The request is decoded once, and each message once. Anything unusual makes `read_plain` return None. The source then
reads the whole request the long way, so both ways give the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from rfctl.model.message import Message, normalize_phone
from rfctl.model.strict_json import find_json_fault
from rfctl.sources.contract import ParseResult, UnparsedError
from rfctl.sources.parsing import check_limits, decode_json, first_nonempty, parse_unix_ms


class Account(msgspec.Struct):
    """Which of our numbers was written to."""

    phone_number_id: str | int = ""
    display_phone_number: str | int = ""


class Profile(msgspec.Struct):
    """How a person is named."""

    name: str | None = None
    username: str | None = None


class Contact(msgspec.Struct):
    """Who wrote."""

    profile: Profile | None = None
    wa_id: str | None = None
    user_id: str | None = None


class Context(msgspec.Struct):
    """The message that this one answers."""

    id: str | None = None


class _Words(msgspec.Struct):
    body: str


class _Text(msgspec.Struct, rename={"sender": "from"}):
    """A text whose sender has a visible number. `from_user_id` makes it an unusual one."""

    sender: str
    id: str
    type: Literal["text"]
    text: _Words
    timestamp: str | int | float | None = None
    group_id: str | None = None
    context: Context | None = None
    from_user_id: None = None


class _Value(msgspec.Struct):
    """What happened at one of our numbers. An error makes the request an unusual one."""

    metadata: Account = msgspec.field(default_factory=Account)
    contacts: list[Contact] | None = None
    messages: list[msgspec.Raw] | None = None
    statuses: list[msgspec.Raw] | None = None
    errors: None = None


class _Change(msgspec.Struct):
    value: _Value
    field: Literal["messages"] = "messages"


class _Entry(msgspec.Struct):
    changes: list[_Change]


class _Body(msgspec.Struct):
    entry: list[_Entry]


class _Metadata(msgspec.Struct, omit_defaults=True):
    senderName: str = ""  # noqa: N815 - the stored name
    username: str = ""
    userId: str = ""  # noqa: N815 - the stored name
    raw: msgspec.Raw = msgspec.Raw(b"")


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_text = msgspec.json.Decoder(_Text).decode
_encode = msgspec.json.Encoder().encode

BuildScope = Callable[[str], tuple[str, ...]]


def read_plain(
    body: bytes, build_scope: BuildScope, max_text_bytes: int, **common: Any
) -> ParseResult | None:
    """Return what a plain request contains, None for one that must be read the long way.

    `build_scope` says for an account where its ids are unique. `common` are the fields that all its messages share.
    """
    result = ParseResult()
    try:
        for entry in decode_json(body, _decode_body).entry:
            for change in entry.changes:
                _read_value(change.value, result, build_scope, max_text_bytes, common)
    except (UnparsedError, msgspec.DecodeError, RecursionError):
        return None
    return result if result.messages or result.skipped else None


def _read_value(
    value: _Value,
    result: ParseResult,
    build_scope: BuildScope,
    max_text_bytes: int,
    common: dict[str, Any],
) -> None:
    """Add what a value contains to the result. Raises UnparsedError or DecodeError when it is not plain."""
    if value.messages is None and value.statuses is None:
        raise UnparsedError("neither messages nor statuses")
    account = str(value.metadata.phone_number_id)
    own = normalize_phone(str(value.metadata.display_phone_number))
    shared = {**common, "account": account, "id_scope": build_scope(account)}
    contacts: dict[str | None, Contact] = {}
    for contact in value.contacts or ():
        contacts.setdefault(contact.wa_id, contact)
    for raw in value.messages or ():
        message = check_limits(_build_message(raw, contacts, shared), max_text_bytes)
        if message.phone == own:
            result.skip("own")
        else:
            result.messages.append(message)
    for _ in value.statuses or ():
        result.skip("status")


def _build_message(raw: msgspec.Raw, contacts: dict[str | None, Contact], shared: dict[str, Any]) -> Message:
    item: _Text = _decode_text(raw)
    if not item.sender:
        raise UnparsedError("a sender without a visible number")
    contact = contacts.get(item.sender) or Contact()
    return Message(
        phone=normalize_phone(item.sender),
        alias=normalize_phone(contact.user_id) if contact.user_id else "",
        text=item.text.body,
        id=item.id,
        chat=item.group_id or "",
        sent_ms=parse_unix_ms(item.timestamp),
        refers=first_nonempty(item.context.id) if item.context else "",
        metadata=_build_metadata(raw, contact),
        **shared,
    )


def _build_metadata(raw: msgspec.Raw, contact: Contact) -> bytes:
    if fault := find_json_fault(bytes(raw)):
        raise UnparsedError(fault)
    profile = contact.profile or Profile()
    return _encode(
        _Metadata(
            senderName=profile.name or "",
            username=profile.username or "",
            userId=contact.user_id or "",
            raw=raw,
        )
    )
