"""What gateways send, and what a map must make of it: lists in lists, alternatives, conditions, events, changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rfctl.errors import SettingsError
from rfctl.section import build_section
from rfctl.sources.contract import ParseResult, UnparsedError
from rfctl.sources.generic.config import GenericConfig
from rfctl.sources.generic.map_check import check_mapping
from rfctl.sources.generic.mapped import Mapped

SIMPLE = {"phone": "from", "text": "text", "id": "id"}
PAGES = {
    "each": "entry.*.messaging.*", "phone": "sender.id", "text": "message.text", "id": "message.mid", "account": "^id",
}  # fmt: skip
TWO_PAGES = {
    "object": "page",
    "entry": [
        {
            "id": "P",
            "messaging": [
                {
                    "sender": {"id": "111"},
                    "recipient": {"id": "P"},
                    "message": {"mid": "m1", "text": "first person"},
                }
            ],
        },
        {
            "id": "Q",
            "messaging": [
                {
                    "sender": {"id": "222"},
                    "recipient": {"id": "Q"},
                    "message": {"mid": "m2", "text": "second person"},
                }
            ],
        },
    ],
}


def source(mapping: dict[str, Any]) -> Mapped:
    config = build_section(
        GenericConfig, {"type": "generic", "secrets": ["s"], "map": mapping}, "sources.shop"
    )
    return Mapped("shop", config, 1000, make_id=lambda: "made")


def parse(mapping: dict[str, Any], body: Any) -> ParseResult:
    return source(mapping).parse(json.dumps(body).encode())


def read(mapping: dict[str, Any], **fields: Any) -> ParseResult:
    return parse({**SIMPLE, **mapping}, {"from": "1", "text": "x", "id": "a", **fields})


def test_second_entry_is_read_like_the_first() -> None:
    messages = parse(PAGES, TWO_PAGES).messages
    assert [(item.phone, item.text, item.account) for item in messages] == [
        ("111", "first person", "P"),
        ("222", "second person", "Q"),
    ]


@pytest.mark.parametrize("each", ["entry.*.messaging.*", "entry.*.messaging"])
def test_the_star_at_the_end_of_each_may_be_left_out(each: str) -> None:
    assert len(parse({**PAGES, "each": each}, TWO_PAGES).messages) == 2


def test_entry_beside_the_one_that_a_map_names_is_counted() -> None:
    mapping = {**PAGES, "each": "entry.0.messaging", "account": "/entry.0.id"}
    reading = parse(mapping, TWO_PAGES)
    assert ([item.phone for item in reading.messages], reading.skipped) == (["111"], {"unread": 1})


def test_second_list_and_entry_without_a_list_are_counted() -> None:
    body = json.loads(json.dumps(TWO_PAGES))
    body["entry"][0]["standby"] = [{"a": 1}, {"a": 2}, "no object"]
    del body["entry"][1]["messaging"]
    reading = parse(PAGES, body)
    assert (len(reading.messages), reading.skipped) == (1, {"unread": 3})


def test_list_that_another_path_reads_is_not_left_aside() -> None:
    body = {"contacts": [{"name": "Ann"}], "messages": [{"from": "1", "text": "x", "id": "a"}]}
    plain = {**SIMPLE, "each": "messages"}
    assert parse(plain, body).skipped == {"unread": 1}
    assert parse({**plain, "name": "/contacts.0.name"}, body).skipped == {}


def test_objects_behind_an_index_are_counted() -> None:
    reading = read({"media_url": "files.0.url"}, files=[{"url": "https://x/a"}, {"url": "https://x/b"}])
    assert ([file.url for file in reading.messages[0].media], reading.skipped) == (
        ["https://x/a"],
        {"unread": 1},
    )


def test_star_in_the_path_of_a_file_reads_all_files() -> None:
    files = [{"url": "https://x/a", "mime": "image/png"}, {"mime": "text/plain"}, {"url": "https://x/b"}]
    reading = read({"media_url": "files.*.url", "media_mime": "files.*.mime"}, files=files)
    assert [(file.url, file.mime) for file in reading.messages[0].media] == [
        ("https://x/a", "image/png"),
        ("https://x/b", ""),
    ]
    assert (reading.messages[0].type, reading.skipped) == ("image", {})


def test_each_file_of_a_list_has_the_first_path_that_leads_into_it() -> None:
    mapping = {"media_url": ["files.*.photo.url", "files.*.file.url"], "media_name": "files.*.file.name"}
    files = [{"file": {"url": "u1", "name": "n1"}}, {"photo": {"url": "u2"}}, {"file": {"url": "u3"}}, "x"]
    [message] = read(mapping, files=files).messages
    assert [(file.url, file.name) for file in message.media] == [("u1", "n1"), ("u2", ""), ("u3", "")]


@pytest.mark.parametrize(("kind", "chat"), [("im", ""), ("channel", "C1")])
def test_chat_counts_where_its_condition_holds(kind: str, chat: str) -> None:
    mapping = {"chat": "room", "chat_if": {"kind": "channel"}}
    [message] = read(mapping, room="C1", kind=kind).messages
    assert message.chat == chat


def test_album_is_what_its_pictures_have_in_common() -> None:
    mapping = {"album": "set.id", "media_url": "url", "type": "type"}
    [picture] = read(mapping, set={"id": "s1"}, url="u").messages
    [reaction] = read(mapping, set={"id": "s1"}, type="reaction").messages
    assert (picture.album, reaction.album) == ("s1", "")


@pytest.mark.parametrize("answers", [{"day": "Tuesday", "at": 10}, '{"day": "Tuesday", "at": 10}'])
def test_form_is_its_answers_and_not_the_word_that_nobody_wrote(answers: object) -> None:
    [message] = read({"form": "flow"}, text="Sent", flow=answers).messages
    assert (message.type, message.text) == ("form", "day=Tuesday\nat=10")
    assert json.loads(message.metadata)["answers"] == {"day": "Tuesday", "at": 10}


@pytest.mark.parametrize("answers", [None, "", "{", 7, [], {}])
def test_form_that_cannot_be_read_costs_no_message(answers: object) -> None:
    [message] = read({"form": "flow"}, flow=answers).messages
    assert (message.type, message.text) == ("text", "x")


@pytest.mark.parametrize(
    ("fields", "skipped"),
    [({"event": {"type": "message"}}, {}), ({"type": "rate limited"}, {"event:rate_limited": 1})],
)
def test_name_of_an_event_may_stand_in_several_places(
    fields: dict[str, Any], skipped: dict[str, int]
) -> None:
    mapping = {"event": ["/event.type", "/type"], "messages": ["message"]}
    assert read(mapping, **fields).skipped == skipped


def test_body_without_the_list_is_an_event() -> None:
    body = {"statuses": [{"id": "w9", "status": "delivered"}], "event": {"type": "statuses"}}
    mapping = {"each": "messages", "phone": "from", "text": "text.body", "id": "id"}
    assert parse(mapping, body) == ParseResult(skipped={"event:no_list": 1})
    named = {**mapping, "event": "/event.type", "messages": ["messages"]}
    assert parse(named, body) == ParseResult(skipped={"event:statuses": 1})


def test_body_that_says_it_has_messages_and_has_no_list_is_no_event() -> None:
    mapping = {**SIMPLE, "each": "messages", "event": "/event", "messages": "message"}
    with pytest.raises(UnparsedError, match="no list of messages"):
        parse(mapping, {"event": "message", "message": {"from": "1"}})


def test_value_of_a_path_says_that_words_are_our_own() -> None:
    body = {
        "event": "message_created", "id": 102, "content": "Bot: how can I help?", "message_type": "outgoing",
        "private": False, "sender": {"id": 2, "type": "agent_bot"}, "conversation": {"id": 7},
    }  # fmt: skip
    mapping = {"phone": "sender.id", "text": "content", "id": "id", "chat": "conversation.id"}
    assert len(parse(mapping, body).messages) == 1
    for condition in (
        {"skip_if": {"message_type": "outgoing"}},
        {"own_if": {"sender.type": ["user", "agent_bot"]}},
    ):
        assert parse({**mapping, **condition}, body) == ParseResult(skipped={"own": 1})


def test_voice_message_has_its_address_by_a_second_path() -> None:
    body = {
        "phone": "5544999990001", "messageId": "Z3", "fromMe": False,
        "audio": {"audioUrl": "https://x/a.ogg", "mimeType": "audio/ogg; codecs=opus"},
    }  # fmt: skip
    mapping = {
        "phone": "phone", "text": "text.message", "id": "messageId", "media_url": ["image.imageUrl", "audio.audioUrl"],
        "media_mime": ["image.mimeType", "audio.mimeType"],
    }  # fmt: skip
    [message] = parse(mapping, body).messages
    assert (message.type, message.media[0].url) == ("voice", "https://x/a.ogg")


@pytest.mark.parametrize("empty", [None, ""])
def test_alternative_behind_an_empty_one_counts(empty: object) -> None:
    [message] = read({"phone": ["participant", "from"]}, participant=empty).messages
    assert message.phone == "1"
    [message] = read({"phone": ["participant", "from"]}, participant="2").messages
    assert message.phone == "2"


CONDITIONS = [
    ({"own_if": "own"}, {"own": True}, "own"),
    ({"own_if": "own"}, {"own": "false"}, ""),
    ({"skip_if": ["own", "bot"]}, {"bot": 1}, "own"),
    ({"status_if": {"kind": "ack"}}, {"kind": "ack"}, "status"),
    ({"status_if": {"kind": "ack"}}, {"kind": ["ack"]}, ""),
    ({"status_if": {"kind": ["ack", "read"]}}, {"kind": "read"}, "status"),
    ({"error_if": {"code": 131}}, {"code": 131}, "error"),
    ({"error_if": {"code": 131}}, {"code": "131"}, "error"),
    ({"event_if": {"on": True}}, {"on": True}, "event"),
    ({"event_if": {"on": True}}, {"on": 1}, ""),
    ({"event_if": {"on": "*"}}, {"on": {"a": 1}}, "event"),
    ({"event_if": {"on": "*"}}, {"on": None}, ""),
    ({"event_if": {"on": ""}}, {}, "event"),
    ({"event_if": {"on": ""}}, {"on": "x"}, ""),
    ({"event_if": {"kind": "a", "on": True}}, {"kind": "a"}, ""),
    ({"event_if": {"kind": "a", "on": True}}, {"kind": "a", "on": True}, "event"),
    ({"event_if": [{"kind": "a"}, {"on": True}, "third"]}, {"third": "yes"}, "event"),
    ({"only_if": {"kind": "chat"}}, {"kind": "chat"}, ""),
    ({"only_if": {"kind": "chat"}}, {"kind": "call"}, "event"),
    ({"only_if": {"kind": "chat"}}, {}, "event"),
    ({"event": "kind", "messages": ["chat", 5]}, {"kind": 5}, ""),
    ({"event": "kind", "messages": ["chat", 5]}, {"kind": "Status Changed!"}, "event:status_changed"),
    ({"event": "kind", "messages": ["chat", 5]}, {"kind": {}}, "event:unnamed"),
]


@pytest.mark.parametrize(("mapping", "fields", "kind"), CONDITIONS, ids=str)
def test_condition_skips_what_it_names_and_counts_its_kind(
    mapping: dict[str, Any], fields: dict[str, Any], kind: str
) -> None:
    reading = read(mapping, **fields)
    assert (len(reading.messages), reading.skipped) == ((0, {kind: 1}) if kind else (1, {}))


def test_names_of_events_are_bounded() -> None:
    reader = source({**SIMPLE, "event": "kind", "messages": "chat"})
    kinds = [next(iter(reader.parse(b'{"kind":"k%d"}' % n).skipped)) for n in range(100)]
    assert len(set(kinds)) == 25
    assert kinds[0] == "event:k0"
    assert kinds[-1] == "event:other"
    assert list(reader.parse(b'{"kind":"k3"}').skipped) == ["event:k3"]
    [long] = reader.parse(b'{"kind":"%b"}' % (b"x" * 500)).skipped
    assert len(long) < 60


@pytest.mark.parametrize(
    ("value", "kind"), [("foto", "image"), ("ptt", "voice"), ("strange", "strange"), (7, "poll")]
)
def test_table_of_types_comes_before_the_words_of_whatsapp(value: object, kind: str) -> None:
    mapping = {"type": "kind", "types": {"foto": "image", "7": "poll"}}
    assert read(mapping, kind=value).messages[0].type == kind


def test_type_follows_from_what_is_there() -> None:
    mapping = {
        "type_if": {"location": "place", "reaction": {"emoji": "*"}},
        "text": {"reaction": "emoji", "*": ["text", "place.name"]},
    }
    place = read(mapping, text="", place={"name": "Park"}).messages[0]
    assert (place.type, place.text) == ("location", "Park")
    reaction = read({**mapping, "refers": "to"}, emoji="👍", to="b").messages[0]
    assert (reaction.type, reaction.text, reaction.refers, reaction.id) == ("reaction", "👍", "b", "a")
    assert read(mapping).messages[0].type == "text"


@pytest.mark.parametrize("kind", ["edit", "transcript", "deletion", "reaction"])
def test_change_under_the_id_of_its_message_is_a_message_of_its_own(kind: str) -> None:
    mapping = {"type": "kind", "types": {"k": kind}}
    first, again, other = (
        read(mapping, kind="k", text=text).messages[0] for text in ("new", "new", "another")
    )
    assert (first.refers, first.type) == ("a", kind)
    assert first.id.startswith(f"a:{kind}")
    assert first.id == again.id
    assert (first.id == other.id) == (kind == "deletion")


def test_deletion_has_no_words_although_its_body_says_some() -> None:
    mapping = {"type_if": {"deletion": "gone"}, "refers": "target", "media_url": "url"}
    [message] = read(
        mapping, gone=True, target="b", text="This message was deleted", url="https://x"
    ).messages
    assert (message.text, message.media, message.refers, message.id) == ("", (), "b", "a")


def test_transcript_names_its_voice_message_in_the_metadata() -> None:
    mapping = {"type": "kind", "refers": "of"}
    [message] = read(mapping, kind="transcript", of="false_5511@c.us_V1").messages
    assert (message.refers, json.loads(message.metadata)["refers"]) == ("V1", "V1")


def test_path_that_is_set_to_nothing_counts_for_a_preset_alone() -> None:
    with pytest.raises(SettingsError):
        source({**SIMPLE, "chat": ""})


WRONG = [
    ({**SIMPLE, "phon": "x"}, "unknown key `phon`; did you mean phone?"),
    ({**SIMPLE, "text": []}, "`text`: names no path"),
    ({**SIMPLE, "text": ["a", 5]}, "`text`: `5` is no path"),
    (
        {**SIMPLE, "text": ["a", "a.b"]},
        "`text`: `a.b` can never be used: where it leads somewhere, `a` before it does too",
    ),
    ({**SIMPLE, "text": ["a", "b", "a"]}, "`a` can never be used"),
    ({**SIMPLE, "text": ["/", "/a"]}, "`/a` can never be used"),
    (
        {**SIMPLE, "account": "^id"},
        "`account`: `^id` can never match: it goes up further than the body, and there is no `each`",
    ),
    ({**PAGES, "account": "^^^id"}, "`each` has 2 `*`"),
    ({**PAGES, "account": "a.^.b"}, "`^` is no name of a field"),
    ({**SIMPLE, "each": "^list"}, "`each`: `^list` is no path of a list in the body"),
    ({**SIMPLE, "each": "a.**"}, "`each`: `a.**` can never match"),
    ({**SIMPLE, "media_url": "a.*.b.*.c"}, "`media_url`: `a.*.b.*.c` can never match"),
    ({**SIMPLE, "own_if": {"a.*": True}}, "`own_if`: `a.*` can never match"),
    ({**SIMPLE, "own_if": {"^a": True}}, "`own_if`: `^a` can never match"),
    ({**SIMPLE, "own_if": {}}, "`own_if`: can never hold: it names no path"),
    ({**SIMPLE, "own_if": {"a": []}}, "`own_if`: `a` can never match: the list is empty"),
    ({**SIMPLE, "own_if": {"a": {"b": 1}}}, "`own_if`: `a` can never match a value of type dict"),
    ({**SIMPLE, "event": "kind"}, "`event` and `messages` go together"),
    ({**SIMPLE, "messages": "chat"}, "`event` and `messages` go together"),
    ({**SIMPLE, "chat_if": "c"}, "`chat_if`: is for the value at `chat`, which is not set"),
    ({**SIMPLE, "types": {"a": "image"}}, "`types`: is for the values at `type`, which is not set"),
    (
        {**SIMPLE, "type": "t", "types": {"a": "imagee"}},
        "`types`: there is no type imagee; did you mean image?",
    ),
    ({**SIMPLE, "type": "t", "types": "x"}, "`types`: write a table"),
    ({**SIMPLE, "type": {"image": "t"}}, "`type`: is the same for all types"),
    ({**SIMPLE, "type_if": {"strange": "t"}}, "`type_if`: there is no type strange"),
    ({**SIMPLE, "type_if": {"edit": {"a..b": 1}}}, "`type_if`: `edit`: `a..b` is no path"),
    ({**SIMPLE, "type_if": 5}, "`type_if`: write a table"),
    ({**SIMPLE, "refers": {"edits": "a"}}, "`refers`: there is no type edits; did you mean edit?"),
    ({**SIMPLE, "refers": {}}, "`refers`: names no path"),
]


@pytest.mark.parametrize(("mapping", "says"), WRONG, ids=str)
def test_map_that_can_never_match_is_named(mapping: dict[str, Any], says: str) -> None:
    [problem] = check_mapping(mapping)
    assert says in problem
    with pytest.raises(SettingsError) as refused:
        source(mapping)
    assert refused.value.problems == [f"sources.shop.map: {problem}"]
