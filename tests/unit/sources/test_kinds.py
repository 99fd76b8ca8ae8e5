"""What holds for every source: scopes of ids, unknown events, files inside JSON, numbers, companies; pure."""

from __future__ import annotations

import base64
import json
import os
from typing import Any
from urllib.parse import quote

import pytest

from rfctl.batching import BatchingRules, Policy, Timers
from rfctl.errors import BadRequestError
from rfctl.model.message import Message, with_placeholder
from rfctl.section import build_section
from rfctl.sources.contract import ParseResult, Source, UnparsedError
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.mapped import Mapped
from rfctl.sources.registry import SPECS
from tests.support.recorded import body

RULES = BatchingRules(Policy(Timers(1000, 10, 60_000)))
SIMPLE = {
    "phone": "from",
    "text": "text",
    "id": "id",
    "account": "line",
    "company": "tenant",
    "chat": "chat",
    "type": "type",
}
TEXTS = {
    "evolution": "text.json", "green-api": "text.json", "mapped": "", "generic": "", "telegram": "text.json",
    "twilio": "sms.txt", "waha": "text.json", "whatsapp-cloud": "text.json",
}  # fmt: skip
JSON_KINDS = tuple(kind for kind in TEXTS if kind != "twilio")
LAYOUT_1_KEY = "3b946bd042408fa54fadd872f647a593"
"""Made by rfctl 0.1.0, of this message's batch key, source, account, company and whole id."""
PICTURE = base64.b64encode(os.urandom(600_000)).decode()


def source_of(kind: str, name: str = "here", **settings: Any) -> Source:
    type_ = "generic" if kind == "mapped" else kind
    settings = {"type": type_, "secrets": ["s"], **settings}
    settings |= {"map": SIMPLE} if kind == "mapped" else {}
    settings |= {"public_url": "https://bot.example.com"} if kind == "twilio" else {}
    return SPECS[type_].build_source(name, build_section(SPECS[type_].config, settings, ""), 65_536)


def text_body(kind: str) -> bytes:
    if kind == "generic":
        return b'{"from":"79001","message":"x","id":"1"}'
    if kind == "mapped":
        return b'{"from":"79001","text":"x","id":"1","line":"a"}'
    return body(kind, TEXTS[kind])


def read(kind: str, sent: bytes, **settings: Any) -> Message:
    [item] = source_of(kind, **settings).parse(sent).messages
    return item


def key_of(message: Message) -> bytes:
    return RULES.build_dedupe_key(message)


@pytest.mark.parametrize("kind", TEXTS)
def test_id_is_remembered_whatever_the_settings_of_company_and_key_and_name(kind: str) -> None:
    sent = text_body(kind)
    first = read(kind, sent, name="old")
    second = read(kind, sent, name="new", id_scope="old", company=7)
    rules = BatchingRules(Policy(Timers(1, 1, 1)), split_by=frozenset({"account", "company"}))
    assert key_of(first) == rules.build_dedupe_key(second)
    assert first.id_scope


@pytest.mark.parametrize("kind", ["evolution", "green-api", "twilio", "waha", "whatsapp-cloud"])
def test_id_is_the_accounts_where_the_body_names_it(kind: str) -> None:
    sent = text_body(kind)
    assert key_of(read(kind, sent, name="old")) == key_of(read(kind, sent, name="new"))


@pytest.mark.parametrize("kind", ["telegram", "generic", "mapped"])
def test_id_is_the_sources_where_the_body_names_no_account(kind: str) -> None:
    sent = text_body(kind)
    assert key_of(read(kind, sent, name="old")) != key_of(read(kind, sent, name="new"))


@pytest.mark.parametrize(
    "other",
    [{"from": "79002"}, {"line": "b"}, {"tenant": 7}, {"tenant": "8"}, {"chat": "g"}, {"id": "2"}],
)
def test_small_ids_of_anybodys_json_stay_apart(other: dict[str, Any]) -> None:
    sent = {"from": "79001", "text": "x", "id": "1", "line": "a"}
    assert key_of(read("mapped", json.dumps(sent).encode())) != key_of(
        read("mapped", json.dumps(sent | other).encode())
    )


@pytest.mark.parametrize("other", [{"from": "79002"}, {"companyId": 7}, {"id": "2", "messageId": "2"}])
@pytest.mark.parametrize("name", ["id", "messageId"])
def test_small_ids_of_the_generic_form_stay_apart(name: str, other: dict[str, Any]) -> None:
    sent = {"from": "79001", "message": "x", name: "1"}
    assert key_of(read("generic", json.dumps(sent).encode())) != key_of(
        read("generic", json.dumps(sent | other).encode())
    )


def test_ids_of_telegram_stay_apart_by_chat_and_business_account() -> None:
    def update(chat: int, connection: str = "") -> bytes:
        post = {"message_id": 5, "from": {"id": 1}, "chat": {"id": chat, "type": "private"}, "text": "x"}
        if connection:
            return json.dumps(
                {"update_id": 1, "business_message": {**post, "business_connection_id": connection}}
            ).encode()
        return json.dumps({"update_id": 1, "message": post}).encode()

    keys = {
        key_of(read("telegram", update(chat, connection)))
        for chat, connection in [(1, ""), (2, ""), (1, "a"), (1, "b")]
    }
    assert len(keys) == 4


@pytest.mark.parametrize("kind", ["mapped", "green-api"])
def test_ids_of_whatsapp_have_no_spelling_of_the_chat_or_the_sender_in_their_scope(kind: str) -> None:
    if kind == "mapped":
        bodies = [
            json.dumps(
                {"from": chat, "text": "x", "id": f"false_{chat}_3EB0", "line": "a", "chat": chat}
            ).encode()
            for chat in ("79001@c.us", "5555@lid")
        ]
    else:
        plain = json.loads(text_body(kind))
        bodies = [
            json.dumps(plain | {"senderData": {"chatId": chat, "sender": chat}}).encode()
            for chat in ("79001@c.us", "5555@lid")
        ]
    first, second = (read(kind, sent) for sent in bodies)
    assert (first.id, key_of(first)) == (second.id, key_of(second))


def test_message_without_a_scope_is_remembered_by_source_account_chat_and_phone() -> None:
    plain: dict[str, Any] = {"phone": "1", "text": "", "id": "a", "channel": "c", "account": "x", "chat": "g"}
    others: list[dict[str, Any]] = [
        {},
        *({name: "other"} for name in ("phone", "id", "channel", "account", "chat")),
    ]
    assert len({key_of(Message(**plain | other)) for other in others}) == len(others)
    assert key_of(Message(**plain)) == key_of(Message(**plain, company=7))
    assert len(key_of(Message(**plain))) == 16


def test_scope_and_id_cannot_run_together_to_the_same_key() -> None:
    def key(scope: tuple[str, ...], id_: str) -> bytes:
        return key_of(Message(phone="1", text="", id=id_, channel="c", id_scope=scope))

    assert len({key(("a", "b"), "c"), key(("a",), "b\0c"), key(("a\0b",), "c"), key(('a", "b',), "c")}) == 4


def test_older_key_is_that_of_layout_1() -> None:
    message = Message(
        phone="79001", text="", id="A", channel="wa", account="s", company=7, older_id="false_7_A"
    )
    assert RULES.build_older_dedupe_key(message).hex() == LAYOUT_1_KEY


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("evolution", b'{"event":"messages.translated","instance":"i","data":{"key":{}}}'),
        ("green-api", b'{"typeWebhook":"incomingThing"}'),
        ("telegram", b'{"update_id":1,"new_kind":{"message_id":1}}'),
        ("whatsapp-cloud", b'{"entry":[{"id":"1","changes":[{"field":"new_field","value":{}}]}]}'),
        ("waha", b'{"event":"message.translated","payload":{}}'),
        ("twilio", b"MessageSid=SM1&MessageStatus=teleported"),
    ],
)
def test_event_of_a_kind_that_nobody_knows_is_kept(kind: str, sent: bytes) -> None:
    try:
        result = source_of(kind).parse(sent)
    except UnparsedError as problem:
        assert "not know" in problem.fact
    else:
        assert (result.messages, result.skipped) == ([], {})
        assert "not know" in result.unparsed[0].why


@pytest.mark.parametrize(
    ("kind", "sent", "counted"),
    [
        ("evolution", b'{"event":"connection.update","instance":"i","data":{}}', "event"),
        ("evolution", b'{"event":"MESSAGES_UPDATE","data":{}}', "status"),
        ("evolution", b'{"event":"groups.participants.update","data":[]}', "event"),
        ("green-api", b'{"typeWebhook":"stateInstanceChanged"}', "event"),
        ("green-api", b'{"typeWebhook":"outgoingMessageStatus"}', "status"),
        ("telegram", b'{"update_id":1,"chat_member":{}}', "event"),
        ("telegram", b'{"update_id":1}', "event"),
        (
            "whatsapp-cloud",
            b'{"entry":[{"id":"1","changes":[{"field":"account_alerts","value":{}}]}]}',
            "event",
        ),
        (
            "whatsapp-cloud",
            b'{"entry":[{"id":"1","changes":[{"field":"smb_message_echoes","value":{}}]}]}',
            "own",
        ),
        ("twilio", b"MessageSid=SM1&MessageStatus=delivered", "status"),
    ],
)
def test_event_that_is_no_message_is_counted(kind: str, sent: bytes, counted: str) -> None:
    assert source_of(kind).parse(sent) == ParseResult(skipped={counted: 1})


def upsert(content: dict[str, Any]) -> bytes:
    key = {"remoteJid": "79001@s.whatsapp.net", "fromMe": False, "id": "3EB0"}
    return json.dumps(
        {"event": "messages.upsert", "instance": "i", "data": {"key": key, "message": content}}
    ).encode()


def notification(data: dict[str, Any]) -> bytes:
    envelope = json.loads(text_body("green-api"))
    return json.dumps(envelope | {"messageData": data}).encode()


def post(**fields: Any) -> bytes:
    plain = {"message_id": 1, "from": {"id": 1}, "chat": {"id": 1, "type": "private"}, "date": 1}
    return json.dumps({"update_id": 1, "message": plain | fields}).encode()


def cloud(message: dict[str, Any]) -> bytes:
    plain = {"from": "79001", "id": "wamid.1", "timestamp": "1"}
    value = {"metadata": {"phone_number_id": "1"}, "messages": [plain | message]}
    return json.dumps({"entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]}).encode()


NO_MESSAGES = [
    *(
        ("evolution", upsert({name: {}}))
        for name in (
            "albumMessage", "pinInChatMessage", "keepInChatMessage", "eventMessage", "encEventResponseMessage",
            "callLogMesssage", "placeholderMessage", "scheduledCallCreationMessage", "statusMentionMessage",
            "messageHistoryBundle", "pollResultSnapshotMessage",
        )
    ),
    *(("green-api", notification({"typeMessage": name})) for name in ("albumMessage", "pinInChatMessage", "eventMessage")),
    *(
        ("telegram", post(**{name: {"x": 1}}))
        for name in ("pinned_message", "gift", "unique_gift", "new_chat_members", "boost_added", "giveaway", "giveaway_winners")
    ),
    ("telegram", post(group_chat_created=True)),
    ("whatsapp-cloud", cloud({"type": "system", "system": {"body": "User changed", "type": "user_changed_number"}})),
    ("whatsapp-cloud", cloud({"type": "request_welcome"})),
    *(
        ("mapped", json.dumps({"from": "1", "id": "1", "line": "a", "type": name}).encode())
        for name in ("gp2", "album", "e2e_notification")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sent"), NO_MESSAGES, ids=lambda value: str(value)[-60:])
def test_what_nobody_said_does_not_wake_the_bot(kind: str, sent: bytes) -> None:
    assert source_of(kind).parse(sent) == ParseResult(skipped={"event": 1})


@pytest.mark.parametrize("name", ["users_shared", "chat_shared", "successful_payment", "passport_data"])
def test_answer_to_a_bot_without_words_is_a_message(name: str) -> None:
    assert read("telegram", post(**{name: {"x": 1}})).type == name


FLOW = '{"flow_token":"secret","name":"Olga","when":["10:00","11:00"],"note":"two\\nlines","n":2,"ok":true,"more":{"a":1}}'
FILLED = 'name=Olga\nwhen=10:00, 11:00\nnote=two lines\nn=2\nok=true\nmore={"a":1}'
FLOWS = [
    ("whatsapp-cloud", cloud({"type": "interactive", "interactive": {
        "type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": FLOW}}})),
    ("evolution", upsert({"interactiveResponseMessage": {
        "body": {"text": "Sent"}, "nativeFlowResponseMessage": {"name": "galaxy_message", "paramsJson": FLOW}}})),
    ("green-api", notification({"typeMessage": "interactiveResponseMessage", "interactiveResponseMessage": {
        "nativeFlowResponseMessage": {"name": "flow", "paramsJson": FLOW}}})),
    *(
        ("twilio", f"MessageSid=SM1&From=whatsapp%3A%2B79001&To=x&Body=Sent&{name}={quote(FLOW)}".encode())
        for name in ("FlowData", "InteractiveData")
    ),
    ("waha", json.dumps({"event": "message", "session": "i", "payload": {
        "id": "false_79001@c.us_3EB0", "from": "79001@c.us", "fromMe": False, "body": "Sent", "_data": {"message": {
            "interactiveResponseMessage": {"nativeFlowResponseMessage": {"name": "flow", "paramsJson": FLOW}}}}}}).encode()),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sent"), FLOWS, ids=lambda value: str(value)[-20:])
def test_form_says_what_was_filled_in_and_not_sent(kind: str, sent: bytes) -> None:
    item = read(kind, sent)
    answers = {name: value for name, value in json.loads(FLOW).items() if name != "flow_token"}
    assert (item.text, item.type, json.loads(item.metadata)["answers"]) == (FILLED, "form", answers)


@pytest.mark.parametrize("answers", ["", "no JSON", "[]", '{"a":1e999}', "[" * 3_000, '{"flow_token":"x"}'])
def test_form_that_says_nothing_has_no_text(answers: str) -> None:
    sent = cloud({"type": "interactive", "interactive": {
        "type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": answers}}})  # fmt: skip
    item = read("whatsapp-cloud", sent)
    assert (item.text, with_placeholder(item, "[{type}]").text) == ("", "[form]")


@pytest.mark.parametrize("name", ["quick_reply", "menu_options", ""])
def test_answer_to_a_button_keeps_its_words(name: str) -> None:
    flow = {"name": name, "paramsJson": '{"id":"book","title":"Book"}'}
    sent = upsert(
        {"interactiveResponseMessage": {"body": {"text": "Book"}, "nativeFlowResponseMessage": flow}}
    )
    assert read("evolution", sent).text == "Book"


def with_field(kind: str, value: str) -> bytes:
    """Return a text with one more field at the place where the source keeps everything as it came."""
    field = f'"extra":{value},'.encode()
    marks = {
        "evolution": b'"conversation"', "green-api": b'"typeMessage"', "telegram": b'"message_id"', "waha": b'"body"',
        "whatsapp-cloud": b'"timestamp"', "mapped": b'"text"', "generic": b'"message"',
    }  # fmt: skip
    head, mark, rest = text_body(kind).partition(marks[kind])
    assert mark, kind
    return head + field + mark + rest


INFINITE = [
    "1e999",
    "-1E+999",
    "[[1e400]]",
    '{"a":{"b":1e309}}',
    "1" + "0" * 400,
    "9" * 5_000,
    "[" * 60 + "]" * 60,
]


@pytest.mark.parametrize("value", INFINITE, ids=lambda value: value[:12])
@pytest.mark.parametrize("kind", JSON_KINDS)
def test_number_that_becomes_infinite_is_refused(kind: str, value: str) -> None:
    assert_refused(kind, with_field(kind, value))


def assert_refused(kind: str, sent: bytes) -> None:
    if kind == "generic":
        with pytest.raises(BadRequestError):
            source_of(kind).parse(sent)
        return
    try:
        result = source_of(kind).parse(sent)
    except UnparsedError:
        return
    assert (result.messages, len(result.unparsed)) == ([], 1)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "01", "+1", "0x10", "1."])
@pytest.mark.parametrize("kind", JSON_KINDS)
def test_number_that_is_no_json_is_refused(kind: str, value: str) -> None:
    assert_refused(kind, with_field(kind, value))


@pytest.mark.parametrize("value", ["1e30", '"1e999"', "12345678901234567890123", r'"\ud83d"', "1.10"])
@pytest.mark.parametrize("kind", JSON_KINDS)
def test_value_that_every_reader_takes_is_kept(kind: str, value: str) -> None:
    item = read(kind, with_field(kind, value))
    json.loads(item.metadata, parse_constant=lambda word: pytest.fail(word))


@pytest.mark.parametrize("kind", ["evolution", "green-api", "telegram", "waha", "whatsapp-cloud", "mapped"])
@pytest.mark.parametrize(
    "file",
    [
        json.dumps(PICTURE), json.dumps("data:image/jpeg;base64," + PICTURE), json.dumps(PICTURE).replace("/", "\\/"),
        json.dumps({"type": "Buffer", "data": [255] * 300_000}), json.dumps({str(n): 7 for n in range(50_000)}),
    ],
    ids=["base64", "data-url", "escaped", "buffer", "bytes"],
)  # fmt: skip
def test_file_inside_the_json_is_left_out(kind: str, file: str) -> None:
    item = read(kind, with_field(kind, file))
    assert len(item.metadata) < 5_000
    assert item.text


@pytest.mark.parametrize("kind", ["evolution", "green-api", "telegram", "waha", "whatsapp-cloud", "mapped"])
def test_file_inside_the_json_is_left_out_of_quarantine(kind: str) -> None:
    source = source_of(kind)
    try:
        bodies = [
            part.body for part in source.parse(with_field(kind, json.dumps(PICTURE) + ',"x":1e999')).unparsed
        ]
    except UnparsedError:
        bodies = [with_field(kind, json.dumps(PICTURE) + ',"x":1e999')]
    [kept] = [source.redact(sent) for sent in bodies]
    assert len(kept) < 10_000


def test_long_text_of_a_person_is_never_taken_for_a_file() -> None:
    text = "a" * 65_536
    assert (
        read("mapped", json.dumps({"from": "1", "text": text, "id": "1", "line": "a"}).encode()).text == text
    )


@pytest.mark.parametrize("company", [962302, "962302", "0123", 0, 2**53 + 1, 10**20, "9" * 17])
@pytest.mark.parametrize(("kind", "field"), [("mapped", "tenant"), ("generic", "companyId")])
def test_company_of_a_body_stays_as_it_came(kind: str, field: str, company: int | str) -> None:
    item = read(kind, json.dumps(json.loads(text_body(kind)) | {field: company}).encode(), company="5")
    assert (type(item.company), item.company) == (type(company), company)


@pytest.mark.parametrize("company", [962302, "962302", "0123", 0])
@pytest.mark.parametrize("kind", TEXTS)
def test_company_of_a_source_stays_as_it_is_set(kind: str, company: int | str) -> None:
    item = read(kind, text_body(kind), company=company)
    assert (type(item.company), item.company) == (type(company), company)


@pytest.mark.parametrize("text", [" ", "\n\t", "\u200b\u2060", "\u3164"])
@pytest.mark.parametrize("kind", ["generic", "mapped", "telegram", "whatsapp-cloud"])
def test_text_without_anything_to_read_is_no_text(kind: str, text: str) -> None:
    sent = {
        "generic": json.dumps({"from": "1", "message": text, "id": "1"}).encode(),
        "mapped": json.dumps({"from": "1", "text": text, "id": "1", "line": "a"}).encode(),
        "telegram": post(text=text),
        "whatsapp-cloud": cloud({"type": "text", "text": {"body": text}}),
    }
    item = read(kind, sent[kind])
    assert with_placeholder(item, "[{type}]").text == ""


@pytest.mark.parametrize("kind", ["mapped", "whatsapp-cloud"])
def test_many_unreadable_messages_are_kept_without_a_copy_of_the_rest_for_each(kind: str) -> None:
    around, bad = "x y " * 25_000, [{"n": number} for number in range(1_000)]
    if kind == "mapped":
        mapping = {"each": "list", "phone": "from", "text": "text"}
        config = build_section(GenericConfig, {"type": "generic", "map": mapping}, "")
        source: Source = Mapped("here", config)
        sent = json.dumps({"around": around, "list": bad}).encode()
    else:
        source = source_of(kind)
        value = {"metadata": {"phone_number_id": "1"}, "contacts": [{"around": around}], "messages": bad}
        sent = json.dumps(
            {"entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]}
        ).encode()
    [kept] = source.parse(sent).unparsed
    assert kept.why.endswith("; and 999 more")
    assert len(kept.body) <= len(sent) + 200
    assert kept.body.count(b'"n":') == 1_000
    assert [again.body for again in source.parse(kept.body).unparsed] == [kept.body]
