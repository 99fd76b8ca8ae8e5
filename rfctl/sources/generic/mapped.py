"""Any other sender of JSON: the settings say at which path each fact stands. Pure.

    map = { each = "entry.*.messaging.*", phone = "sender.id", text = "message.text", account = "^id" }

A path is names and list indexes between dots. `each` is the path of all messages: the other paths then begin at a
message. One with a leading `/` goes from the top of the body, and one with `^` from the element of the outer list.
How a request proves itself is for `auth` alone to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from rfctl.model.closed_sets import CHANGES, SkippedKind
from rfctl.model.company import Company, decode_company, format_company
from rfctl.model.message import MAX_ID_CHARS, Message, Unparsed, normalize_phone
from rfctl.sources.contract import ParseResult, Source, UnparsedError
from rfctl.sources.forms import Answers, format_form
from rfctl.sources.generic import node_form
from rfctl.sources.generic.conditions import Skips, Stack
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.elements import NO_LIST, Walk, keep_apart, split_lists
from rfctl.sources.generic.facts import (
    FactReader,
    Facts,
    choose_type,
    read_answers,
    read_caption,
    read_company,
    read_media,
    read_name,
    read_time,
    read_word,
)
from rfctl.sources.generic.map_check import drop_empty
from rfctl.sources.generic.own_words import OwnWords, build_own_words
from rfctl.sources.parsing import (
    build_id_scope,
    build_metadata,
    check_limits,
    decode_json,
    repair_surrogates,
)
from rfctl.sources.whatsapp_web import find_own_part, is_no_message

_decode = msgspec.json.Decoder().decode
UNREAD: SkippedKind = "unread"
OWN: SkippedKind = "own"
_NOT_OF_A_PLATFORM = re.compile(r"[^a-z0-9_-]+")
_LONGEST_PLATFORM = 32
_ABOUT_ANOTHER = CHANGES | {"reaction"}
"""Types of messages that say something of another one."""


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
        mapping = drop_empty(config.map)
        lists = split_lists(mapping.get("each", ""))
        self._facts = FactReader(mapping, len(lists))
        self._skips = Skips(mapping, len(lists))
        own_words = build_own_words(mapping, len(lists)) if config.wants_own else None
        self._own_words = own_words
        self._walk = Walk(lists, self._facts.places + (own_words.places if own_words else []))
        self._has_id = "id" in mapping
        self._has_lists = bool(lists)
        self._has_platform = "platform" in mapping
        self._platforms: Mapping[str, str] = mapping.get("platforms", {})
        self._company = decode_company(config.company)
        self._id_scope = config.find_id_scope(name)
        self._make_id = make_id

    def parse(self, body: bytes) -> ParseResult:
        """Read each message. Raises UnparsedError for a body that is not JSON, or has something else at `each`."""
        repaired = repair_surrogates(self.redact(body))
        top = decode_json(repaired, _decode)
        return self._read_lists(repaired, top) if self._has_lists else self._read_alone(repaired, top)

    def _read_alone(self, body: bytes, top: Any) -> ParseResult:
        """Read a body that is one message, as most are."""
        result = ParseResult()
        try:
            self._read([top], body, result)
        except UnparsedError as problem:
            result.unparsed.append(Unparsed(body, problem.fact))
        return result

    def _read_lists(self, body: bytes, top: Any) -> ParseResult:
        elements = self._walk.find_elements(body, top)
        result = ParseResult()
        refused = [(element, element.name_place() + NO_LIST) for element in elements.strange]
        for element in elements.messages:
            try:
                self._read(element.stack, element.raw, result)
            except UnparsedError as problem:
                refused.append((element, element.name_place() + problem.fact))
        if elements.missing:
            self._skip_body(top, result)
        if unread := elements.count_unread(refused):
            result.skip(UNREAD, unread)
        if refused:
            result.unparsed.extend(keep_apart(refused))
        return result

    def _skip_body(self, top: Any, result: ParseResult) -> None:
        kind = self._skips.find_condition_of_body(top) or self._skips.find_kind_of_body(top)
        if not kind:
            raise UnparsedError(NO_LIST)
        result.skip(kind)

    def _read(self, stack: Stack, raw: bytes, result: ParseResult) -> None:
        if self._skips.find_kind is not None and (kind := self._skips.find_kind(stack)):
            if kind == OWN and self._own_words is not None:
                self._read_own(self._own_words, stack, raw, result)
            else:
                result.skip(kind)
            return
        facts = self._facts.read(stack)
        message = self._message(facts, raw)
        if message.text or message.media or self._is_message(facts):
            result.messages.append(check_limits(message, self._max_text_bytes))
        else:
            result.skip("event")
        if self._facts.has_indexed and (unread := self._facts.count_unread(stack[-1])):
            result.skip(UNREAD, unread)

    def _read_own(self, own: OwnWords, stack: Stack, raw: bytes, result: ParseResult) -> None:
        """Add what somebody on our side wrote by hand to one person; count the rest, as what the bot sent."""
        if own.is_by_hand(stack) and self._skips.is_own_alone(stack):
            facts = {**self._facts.read(stack), "phone": own.find_phone(stack)}
            message = self._message(facts, raw)
            is_to_many = own.is_to_many(message.phone, read_name(facts, "chat"))
            if (message.text or message.media) and not (is_to_many or message.type in _ABOUT_ANOTHER):
                result.add_own(check_limits(message, self._max_text_bytes))
                return
        result.skip(OWN)

    def _is_message(self, facts: Facts) -> bool:
        """Say whether something without words and files is a message by its type. Raises UnparsedError without one."""
        if not facts["type"]:
            raise UnparsedError("neither text nor media")
        return not is_no_message(read_word("type", facts["type"]))

    def _message(self, facts: Facts, raw: bytes) -> Message:
        phone, chat = normalize_phone(read_name(facts, "phone")), read_name(facts, "chat")
        media = read_media(facts)
        answers = read_answers(facts) if "form" in facts else None
        kind = "form" if answers else choose_type(read_word("type", facts["type"]), media)
        whole_id = read_name(facts, "id") if self._has_id else self._make_id()
        own_id = find_own_part(whole_id)
        older_id = whole_id if own_id != whole_id else ""
        account, company = read_name(facts, "account"), read_company(facts)
        about = self._find_reference(facts, kind, own_id)
        if kind == "deletion":
            facts, media = {**facts, "text": "", "caption": ()}, ()
        return Message(
            phone=phone,
            text=_find_text(facts, answers),
            id=_distinguish(own_id, kind, raw) if own_id and about == own_id else own_id,
            id_scope=self._build_id_scope(account, company, () if older_id else (chat, phone)),
            older_id=older_id,
            channel=self._name,
            company=self._company if company is None else company,
            platform=self._find_platform(facts) if self._has_platform else self._config.platform,
            account=account,
            chat="" if normalize_phone(chat) == phone else chat,
            sent_ms=read_time(facts.get("time")),
            type=kind,
            media=media,
            album=_find_album(facts, kind) if "album" in facts else "",
            refers=about,
            metadata=build_metadata(
                raw.strip(),
                senderName=read_word("name", facts.get("name")),
                providerId=older_id,
                answers=answers,
                refers=about if kind == "transcript" else "",
            ),
        )

    def _find_platform(self, facts: Facts) -> str:
        """Return the network that the body names, in our word where the map has one; else that of the settings."""
        name = read_word("platform", facts.get("platform"))
        ours = self._platforms.get(name) or _NOT_OF_A_PLATFORM.sub("_", name.lower())[
            :_LONGEST_PLATFORM
        ].strip("_")
        return ours or self._config.platform

    def _find_reference(self, facts: Facts, kind: str, own_id: str) -> str:
        """Return the id that a message refers to: a change without one has the id of what it changes."""
        refers = read_name(facts, "refers")
        if refers:
            return find_own_part(refers)
        return own_id if kind in _ABOUT_ANOTHER and self._has_id else ""

    def _build_id_scope(self, account: str, company: Company, sender: tuple[str, ...]) -> tuple[str, ...]:
        """Return the scope of an id. Anybody's ids may be small numbers, so this source, chat and sender are in it.

        WhatsApp's are unique in an account, and its chat and sender have several spellings: then `sender` is empty.
        """
        return build_id_scope("generic", "", self._id_scope, account, format_company(company), *sender)


def _find_text(facts: Facts, answers: Answers | None) -> str:
    if answers:
        return format_form(answers)
    return read_word("text", facts.get("text")) or read_caption(facts)


def _find_album(facts: Facts, kind: str) -> str:
    return "" if kind in _ABOUT_ANOTHER else read_name(facts, "album")[:MAX_ID_CHARS]


def build_generic(name: str, config: GenericConfig, max_text_bytes: int) -> Source:
    """Return the source of these settings: with a map it reads any JSON, without one the two generic forms."""
    source = Mapped if config.map else node_form.NodeForm
    return source(name, config, max_text_bytes)


def _distinguish(id_: str, kind: str, raw: bytes) -> str:
    """Return an id for a change that came under the id of what it changes. The same request has the same id again."""
    return (
        f"{id_}:{kind}" if kind == "deletion" else f"{id_}:{kind}:{blake2b(raw, digest_size=6).hexdigest()}"
    )
