"""Evolution API v2 (WhatsApp through Baileys), a self-hosted gateway: its webhook. Pure.

The source trusts a secret that the webhook's `headers` setting makes Evolution send: `jwt_key` (a token signed with it,
see `token`), or a fixed `Authorization` or `apikey`. The body is not signed. Its global webhook
sends no headers at all and cannot be verified. Each message is parsed, counted, or comes back as unparsed. The
instance's API key is in every body, and is stored nowhere.

Facts, from github.com/evolution-foundation/evolution-api:
- `messages.upsert` brings our own messages too (issue 1340). An `@lid` may have its number in `remoteJidAlt`
  (`senderPn` in 2.3.0, issue 1778), or nowhere (issue 2466).
- `messages.edited` is the bare ProtocolMessage, of any kind; its key is as the author sees it, so that an
  edit by the other person of a one-to-one chat says `fromMe` and our own number, and not theirs (issue 1367).
  Its only time is `timestampMs`, by the author's clock.
- `messages.delete` is the bare key, as we see it, without a time.
- `messages.update` says DELETED of an edit too (issue 2010).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from rfctl.model.company import decode_company
from rfctl.model.message import Media, Message, Unparsed, normalize_phone
from rfctl.sources.contract import ParseResult, Request, Source, UnparsedError
from rfctl.sources.evolution.config import EvolutionConfig
from rfctl.sources.evolution.owner import is_by_hand, is_our_chat
from rfctl.sources.evolution.schema import (
    EVENTS,
    FILES,
    HEAVY,
    TYPES,
    Body,
    Content,
    Key,
    Protocol,
    Quoted,
    Time,
    find_content_name,
    find_facts,
    find_new_text,
    find_text,
    parse_time_ms,
    read_body,
    unwrap,
)
from rfctl.sources.evolution.token import is_signed
from rfctl.sources.forms import format_form, read_native_flow
from rfctl.sources.inline_files import is_note
from rfctl.sources.parsing import (
    any_secret,
    build_id_scope,
    build_metadata,
    check_limits,
    constant_time_equal,
    decode_json,
    decode_part,
    first_nonempty,
    normalize_type,
    strip_bearer,
    strip_fields,
)
from rfctl.sources.whatsapp_web import find_album, is_no_message

_EDITED = {14, "14", "MESSAGE_EDIT"}
_DELETED = {0, "0", "REVOKE"}
_COUNTED = {
    **dict.fromkeys(EVENTS, "event"),
    "messages.update": "status", "send.message": "own", "send.message.update": "own",
}  # fmt: skip
_API_KEY = re.compile(rb'("apikey"\s*:\s*)"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.IGNORECASE | re.DOTALL)


class _Event(msgspec.Struct):
    event: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    instance: str = ""
    sender: str | None = None


class _Item(msgspec.Struct):
    key: Key
    pushName: str | None = None  # noqa: N815 - the provider's names
    message: Content | None = None
    contextInfo: Quoted | None = None  # noqa: N815
    messageTimestamp: Time = None  # noqa: N815
    source: str | None = None


class _Deletion(Key):
    key: Key | None = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_deletion = msgspec.json.Decoder(_Deletion).decode
_decode_protocol = msgspec.json.Decoder(Protocol).decode
_decode_text = msgspec.json.Decoder(str | None).decode
_Read = Callable[[bytes, _Event, ParseResult], None]


class Evolution(Source):
    """The source `evolution`. Its secrets are a `jwt_key` or a fixed header; the account is the instance's name."""

    proof_headers = ("authorization", "apikey")

    def __init__(self, name: str, config: EvolutionConfig, max_text_bytes: int = 65_536) -> None:
        self._name = name
        self._config = config
        self._max_text_bytes = max_text_bytes
        self._read: dict[str, _Read] = {
            "messages.upsert": self._upsert,
            "messages.edited": self._edited,
            "messages.delete": self._deleted,
        }

    def verify(self, request: Request, now_ms: int) -> bool:
        """Say whether any secret signed the token, or is the Authorization or apikey header (`now_ms`: Unix ms)."""
        token, api_key = strip_bearer(request.header("authorization")), request.header("apikey")

        def matches(secret: str) -> bool:
            is_header = constant_time_equal(token, secret) | constant_time_equal(api_key, secret)
            return is_header | is_signed(token, secret, now_ms)

        return any_secret(self._config.secrets, matches)

    def redact(self, body: bytes) -> bytes:
        """Return the body with the API key emptied, and without large files; otherwise it is the same to the byte."""
        return _API_KEY.sub(rb'\1""', super().redact(body))

    def parse(self, body: bytes) -> ParseResult:
        """Read one event. Raises UnparsedError when it is none."""
        event: _Event = decode_json(self.redact(body), _decode_event)
        name = event.event.lower().replace("_", ".").replace("-", ".")
        result = ParseResult()
        read = self._read.get(name)
        if name in _COUNTED:
            result.skip(_COUNTED[name])
            return result
        if read is None:
            raise UnparsedError(f"an event that rfctl does not know: {event.event[:64]}")
        items = _items(strip_fields(bytes(event.data), HEAVY))
        if not items:
            result.skip("event")
        for raw in items:
            try:
                read(raw, event, result)
            except UnparsedError as problem:
                result.unparsed.append(Unparsed(_alone(event, raw), problem.fact))
        return result

    def _upsert(self, raw: bytes, event: _Event, result: ParseResult) -> None:
        item: _Item = decode_part(raw, _decode_item)
        content = unwrap(item.message or {})
        name = find_content_name(content)
        if item.key.is_feed or not name or (name != "protocolMessage" and is_no_message(name)):
            result.skip("event")
        elif (
            item.key.fromMe and self._config.wants_own and is_by_hand(item.source, item.key) and name in TYPES
        ):
            result.add_own(self._content(raw, item, content, name, event))
        elif item.key.fromMe:
            result.skip("own")
        elif name == "protocolMessage":
            self._protocol(raw, item, content, event, result)
        else:
            result.messages.append(self._content(raw, item, content, name, event))

    def _content(self, raw: bytes, item: _Item, content: Content, name: str, event: _Event) -> Message:
        body = read_body(name, bytes(content[name]))
        kind = TYPES.get(name) or normalize_type(name)
        kind = "voice" if kind == "audio" and body.ptt else kind
        answers = read_native_flow(content)
        kind = kind if answers is None else "form"
        return self._message(
            item.key,
            event,
            text=find_text(kind, body) if answers is None else format_form(answers),
            id=item.key.id or "",
            sent_ms=parse_time_ms(item.messageTimestamp),
            type=kind,
            media=_media(kind, body, item),
            refers=_refers(body, item),
            metadata=build_metadata(raw, senderName=item.pushName, answers=answers, **find_facts(kind, body)),
            album=find_album(item.message or {}) or find_album(content),
        )

    def _protocol(
        self, raw: bytes, item: _Item, content: Content, event: _Event, result: ParseResult
    ) -> None:
        """Read an edit or a deletion that came as a message; here the outer key names its sender."""
        change: Protocol = decode_part(bytes(content["protocolMessage"]), _decode_protocol)
        about = change.key.id if change.key and change.key.id else ""
        if change.type in _DELETED:
            fields: dict[str, Any] = {"id": _deletion_id(about), "type": "deletion", "text": ""}
        elif change.type in _EDITED:
            fields = {"id": item.key.id or "", "type": "edit", "text": find_new_text(change)}
        else:
            result.skip("event")
            return
        fields |= {"sent_ms": parse_time_ms(item.messageTimestamp), "refers": about}
        message = self._message(
            item.key, event, metadata=build_metadata(raw, senderName=item.pushName), **fields
        )
        result.messages.append(message)

    def _edited(self, raw: bytes, event: _Event, result: ParseResult) -> None:
        change: Protocol = decode_part(raw, _decode_protocol)
        key = change.key or Key()
        if change.type not in _EDITED:
            result.skip("event")  # a deletion comes as messages.delete too, and there it says of whom
            return
        if not key.chat and key.fromMe:
            if is_our_chat(key, event.sender):
                raise UnparsedError("an edit in a one-to-one chat that does not say whose it is")
            result.skip("own")
            return
        # It has no id of its own, and a second edit of the same message must have another one.
        text, edited_ms = find_new_text(change), parse_time_ms(change.timestampMs)
        # Not of the whole report: it may come twice, with another spelling of the chat.
        mark = hashlib.sha256(f"{edited_ms}:{text}".encode(errors="replace")).hexdigest()[:16]
        fields: dict[str, Any] = {"refers": key.id or "", "type": "edit", "text": text}
        fields |= {
            "id": f"{key.id}:edit:{mark}" if key.id else "",
            "older_id": f"{key.id}:edit:{hashlib.sha256(raw).hexdigest()[:16]}" if key.id else "",
            "sent_ms": edited_ms,
        }
        result.messages.append(self._message(key, event, metadata=build_metadata(raw), **fields))

    def _deleted(self, raw: bytes, event: _Event, result: ParseResult) -> None:
        deletion: _Deletion = decode_part(raw, _decode_deletion)
        key = deletion.key or deletion
        if key.fromMe or key.is_feed:
            result.skip("own" if key.fromMe else "event")
            return
        fields = {"id": _deletion_id(key.id or ""), "refers": key.id or "", "type": "deletion"}
        result.messages.append(self._message(key, event, text="", metadata=build_metadata(raw), **fields))

    def _message(self, key: Key, event: _Event, **fields: Any) -> Message:
        message = Message(
            channel=self._name, company=decode_company(self._config.company), platform="whatsapp",
            account=event.instance, phone=key.phone, alias=key.alias, chat=key.chat, id_scope=self._id_scope(event), **fields,
        )  # fmt: skip
        return check_limits(message, self._max_text_bytes)

    def _id_scope(self, event: _Event) -> tuple[str, ...]:
        """Return the scope of ids: our number where the body names it, since two servers may have an instance `bot`."""
        ours = normalize_phone(event.sender or "")
        fallback = self._config.find_id_scope(self._name)
        return build_id_scope("evolution", ours, fallback, "" if ours else event.instance)


def _items(data: bytes) -> list[bytes]:
    """Return the messages of an event: Evolution can be set to collect several into a list."""
    return [bytes(item) for item in decode_part(data, _decode_list)] if data[:1] == b"[" else [data]


def _alone(event: _Event, raw: bytes) -> bytes:
    """Return a body that holds just this message."""
    return msgspec.json.encode(msgspec.structs.replace(event, data=msgspec.Raw(raw)))


def _deletion_id(about: str) -> str:
    """Return the same id for both ways in which one deletion can come."""
    return f"{about}:deletion" if about else ""


def _refers(body: Body, item: _Item) -> str:
    keys = (body.key, body.pollCreationMessageKey, body.targetMessageKey)
    quoted = (body.contextInfo, item.contextInfo)
    return first_nonempty(
        *(key.id for key in keys if key), *(context.stanzaId for context in quoted if context)
    )


def _media(kind: str, body: Body, item: _Item) -> tuple[Media, ...]:
    """Return the file; its own `url` is WhatsApp's, encrypted, so that only a stored copy counts as one.

    Without a copy the message's id is what Evolution hands the file out for (getBase64FromMediaMessage).
    """
    if kind not in FILES:
        return ()
    copy = decode_part(bytes((item.message or {}).get("mediaUrl", b"null")), _decode_text)
    return (
        Media(
            id=item.key.id or "",
            url="" if is_note(copy or "") else copy or "",
            mime=body.mimetype or "",
            caption=body.caption or "",
            name=body.fileName or "",
        ),
    )
