"""How sources tell what belongs together: albums, texts that a client cut, and people whose ids change; pure."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rfctl.model.message import MAX_ID_CHARS, Message, Renaming
from rfctl.sources.contract import ParseResult, UnparsedError
from rfctl.sources.cut_texts import is_cut_by_telegram, is_cut_sms
from rfctl.sources.parsing import check_limits
from tests.support.recorded import body
from tests.unit.sources.test_kinds import cloud, post, read, source_of, upsert

PICTURE = {"imageMessage": {"mimetype": "image/jpeg", "caption": "look"}}


def association(kind: Any, parent: Any) -> dict[str, Any]:
    return {
        "messageContextInfo": {"messageAssociation": {"associationType": kind, "parentMessageKey": parent}}
    }


def waha(data: dict[str, Any]) -> bytes:
    payload = {
        "id": "false_79001@c.us_3EB0", "from": "79001@c.us", "fromMe": False, "body": "look", "hasMedia": True,
        "media": {"mimetype": "image/jpeg", "url": "https://x/1"}, "_data": data,
    }  # fmt: skip
    return json.dumps({"event": "message", "session": "i", "payload": payload}).encode()


@pytest.mark.parametrize("kind", [1, "1", 1.0, "MEDIA_ALBUM", "media_album"])
@pytest.mark.parametrize("name", ["id", "ID"])
def test_picture_of_whatsapp_names_its_album(kind: Any, name: str) -> None:
    about = association(kind, {name: "EA0", "fromMe": False})
    assert read("evolution", upsert({**PICTURE, **about})).album == "EA0"
    wrapped = {"associatedChildMessage": {"message": {**PICTURE, **about}}}
    assert read("evolution", upsert(wrapped)).album == "EA0"
    assert read("waha", waha({"message": {**PICTURE, **about}})).album == "EA0"
    assert read("waha", waha({"Message": {**PICTURE, **about}})).album == "EA0"


@pytest.mark.parametrize("parent", [{"id": "EA0"}, {"_serialized": "false_79001@c.us_EA0"}])
def test_picture_of_webjs_names_its_album(parent: dict[str, str]) -> None:
    data = {"type": "image", "associationType": "MEDIA_ALBUM", "parentMsgKey": parent}
    assert read("waha", waha(data)).album == "EA0"


@pytest.mark.parametrize("kind", [0, 5, None, "HD_VIDEO_DUAL_UPLOAD", True])
def test_picture_that_belongs_to_something_else_is_in_no_album(kind: Any) -> None:
    about = association(kind, {"id": "EA0"})
    assert read("evolution", upsert({**PICTURE, **about})).album == ""
    assert read("waha", waha({"associationType": kind, "parentMsgKey": {"id": "EA0"}})).album == ""


@pytest.mark.parametrize(
    "odd", ["x", 7, [], {"messageAssociation": "x"}, {"messageAssociation": {"parentMessageKey": 7}}]
)
def test_odd_context_costs_no_picture(odd: Any) -> None:
    assert read("evolution", upsert({**PICTURE, "messageContextInfo": odd})).album == ""
    item = read(
        "waha",
        waha({"message": {**PICTURE, "messageContextInfo": odd}, "parentMsgKey": odd, "notifyName": "Ann"}),
    )
    assert (item.album, item.text, json.loads(item.metadata)["senderName"]) == ("", "look", "Ann")


def test_frame_of_an_album_is_no_message() -> None:
    sent = upsert({"albumMessage": {"expectedImageCount": 2}})
    assert source_of("evolution").parse(sent) == ParseResult(skipped={"event": 1})


def test_long_name_of_an_album_is_cut() -> None:
    sent = upsert({**PICTURE, **association(1, {"id": "A" * 5000})})
    assert len(read("evolution", sent).album) == MAX_ID_CHARS


def test_photos_of_telegram_name_their_album_and_an_edit_does_not() -> None:
    photo: dict[str, Any] = {"photo": [{"file_id": "f"}], "media_group_id": "135"}
    assert read("telegram", post(**photo)).album == "135"
    edited = json.loads(post(**photo, edit_date=2))
    edited["edited_message"] = edited.pop("message")
    assert read("telegram", json.dumps(edited).encode()).album == ""


EMOJI = "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("text", "is_cut"),
    [
        ("x" * 4096, True), ("x" * 4095, False), ("ж" * 4096, True), (EMOJI * 2048, True), (EMOJI * 2047 + "xx", True),
        (EMOJI * 2047, False), (EMOJI * 2047 + "x", False), ("", False), ("x" * 2048, False),
    ],
    ids=range(9),
)  # fmt: skip
def test_telegram_cuts_by_utf16_units(text: str, is_cut: bool) -> None:
    assert is_cut_by_telegram(text) is is_cut
    assert text == "" or read("telegram", post(text=text)).cut is is_cut
    assert text == "" or read("telegram", post(text=text, has_protected_content=True)).cut is is_cut, (
        "the long way"
    )


@pytest.mark.parametrize(
    ("text", "is_cut"),
    [
        ("x" * 153, True), ("x" * 152, False), ("x" * 154, False), ("x" * 151 + "€", True), ("x" * 152 + "€", False),
        ("ж" * 67, True), ("ж" * 66, False), ("ж" * 153, False), (EMOJI * 33 + "x", True), ("x" * 1600, True),
        ("ж" * 1600, True), ("x" * 1599, False), ("", False), ("x" * 67, False),
    ],
    ids=range(14),
)  # fmt: skip
def test_sms_is_cut_by_its_parts_and_by_twilio(text: str, is_cut: bool) -> None:
    assert is_cut_sms(text) is is_cut


def test_text_of_whatsapp_is_not_cut_as_an_sms() -> None:
    def form(sender: str, more: str = "") -> bytes:
        return f"MessageSid=SM1&From={sender}&To=x&Body={'x' * 153}{more}".encode()

    assert read("twilio", form("%2B79001")).cut
    assert read("twilio", form("%2B79001", "&OriginalRepliedMessageSid=SM0")).cut, "the long way"
    assert not read("twilio", form("whatsapp%3A%2B79001")).cut


OLD, NEW = "RU.13491208655302741918", "KZ.98"


def renamings(system: dict[str, Any], **more: Any) -> ParseResult:
    return source_of("whatsapp-cloud").parse(cloud({"type": "system", "system": system, **more}))


def test_person_with_a_new_id_is_named_and_wakes_nobody() -> None:
    result = source_of("whatsapp-cloud").parse(body("whatsapp-cloud", "system_user_id.json"))
    assert (result.messages, result.skipped, result.unparsed) == ([], {"event": 1}, [])
    assert result.renamings == [Renaming("here", NEW, OLD)]


def test_new_number_comes_with_a_new_id() -> None:
    system = {"type": "user_changed_number", "wa_id": "79002", "user_id": NEW, "previous_user_id": OLD}
    assert renamings(system).renamings == [Renaming("here", NEW, OLD, "79002")]


@pytest.mark.parametrize(
    "system",
    [
        {"type": "user_changed_number", "wa_id": "79002"}, {"type": "user_changed_user_id", "user_id": NEW},
        {"type": "user_changed_user_id", "user_id": NEW, "previous_user_id": NEW},
        {"type": "user_changed_user_id", "user_id": "x" * 300, "previous_user_id": OLD},
        {"type": "other", "user_id": NEW, "previous_user_id": OLD}, {"type": 7}, {"type": "user_changed_user_id", "user_id": 7},
    ],
    ids=range(7),
)  # fmt: skip
def test_change_that_does_not_say_whose_moves_nothing(system: dict[str, Any]) -> None:
    result = renamings(system)
    assert (result.renamings, result.skipped) == ([], {"event": 1})


@pytest.mark.parametrize(
    ("platform", "text", "max_text_bytes", "is_taken"),
    [
        ("whatsapp", "ж" * 65_536, 65_536, True), ("whatsapp", EMOJI * 65_536, 65_536, True),
        ("whatsapp", "ж" * 65_537, 65_536, False), ("telegram", "ж" * 65_536, 65_536, False),
        ("whatsapp", "ж" * 65_000, 65_535, False), ("telegram", "ж" * 40_000, 80_000, True),
        ("whatsapp", "x" * 70_000, 80_000, True),
    ],
    ids=range(7),
)  # fmt: skip
def test_longest_text_of_whatsapp_is_taken_in_any_script(
    platform: str, text: str, max_text_bytes: int, *, is_taken: bool
) -> None:
    message = Message(phone="7", text=text, id="1", channel="wa", platform=platform)
    if is_taken:
        assert check_limits(message, max_text_bytes) == message
    else:
        with pytest.raises(UnparsedError, match=f"longer than {max_text_bytes} bytes"):
            check_limits(message, max_text_bytes)
