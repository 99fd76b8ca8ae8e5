"""The door: who sees the page and who acts, and that no other site does."""

from __future__ import annotations

import pytest

from rfctl.ingest.access import Gate
from rfctl.ingest.head import Head
from rfctl.ingest.rejections import RejectedError
from rfctl.page.door import Door
from rfctl.page.origin import is_own
from tests.support.logouts import NobodyElsewhere

LOCAL = {"host": "127.0.0.1:3000"}
OWN = {"origin": "http://127.0.0.1:3000"}
REMOTE = {"host": "bot.example", "x-forwarded-proto": "https"}
OWN_REMOTE = {"origin": "https://bot.example"}


def build_head(headers: dict[str, str], peer: str = "127.0.0.1") -> Head:
    fields = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Head("POST", "/", "/", "", "1.1", fields, peer)


def build_door(gate: Gate, csrf: str = "") -> Door:
    return Door(gate, NobodyElsewhere(), csrf)


def log_in(door: Door) -> dict[str, str]:
    return {"cookie": f"theme=dark; rfctl_session={door.sessions.open()}"}


async def reason_of(door: Door, headers: dict[str, str], peer: str = "127.0.0.1") -> str:
    with pytest.raises(RejectedError) as caught:
        await door.check_actor(build_head(headers, peer))
    return caught.value.reason


async def test_page_on_this_machine_acts_with_the_word_of_the_process() -> None:
    door = build_door(Gate())
    visitor = await door.check_reader(build_head(LOCAL))
    assert await door.check_actor(build_head({**LOCAL, **OWN, "x-rfctl-csrf": visitor.csrf})) == visitor
    assert await reason_of(door, {**LOCAL, **OWN}) == "csrf"
    assert (
        await reason_of(
            door,
            {**LOCAL, **OWN, "x-rfctl-csrf": (await build_door(Gate()).check_reader(build_head(LOCAL))).csrf},
        )
        == "csrf"
    )
    assert await reason_of(door, {**LOCAL, "x-rfctl-csrf": visitor.csrf}) == "origin"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"origin": "https://evil.example"}, "origin"),
        ({"origin": "http://127.0.0.1:5173"}, "origin"),
        ({"origin": "https://127.0.0.1:3000", "host": "127.0.0.1:80"}, "origin"),
        ({"origin": "null"}, "origin"),
        ({**OWN, "sec-fetch-site": "cross-site"}, "origin"),
        ({**OWN, "sec-fetch-site": "same-site"}, "origin"),
        ({"sec-fetch-site": "none"}, "origin"),
        ({**OWN, "host": "evil.example"}, "host"),
        ({**OWN, "x-forwarded-for": "203.0.113.9"}, "proxied"),
    ],
)
async def test_foreign_site_does_not_act_even_with_the_word(headers: dict[str, str], reason: str) -> None:
    door = build_door(Gate(), "csrf")
    assert await reason_of(door, {**LOCAL, "x-rfctl-csrf": "csrf", **headers}) == reason


async def test_session_acts_behind_a_proxy() -> None:
    door = build_door(Gate("geheim"))
    session = {**REMOTE, **log_in(door)}
    visitor = await door.check_reader(build_head(session, ""))
    assert visitor.session is not None
    word = {"x-rfctl-csrf": visitor.csrf}
    assert await door.check_actor(build_head({**session, **OWN_REMOTE, **word}, "")) == visitor
    changed = {**session, "host": "127.0.0.1:3000", "sec-fetch-site": "same-origin"}
    assert await door.check_actor(build_head({**changed, **OWN_REMOTE, **word}, "")), (
        "a proxy has changed the Host"
    )
    assert await reason_of(door, {**session, **OWN_REMOTE}, "") == "csrf"
    assert await reason_of(door, {**session, **OWN_REMOTE, "x-rfctl-csrf": "é"}, "") == "csrf"
    other = await door.check_reader(build_head({**REMOTE, **log_in(door)}, ""))
    assert await reason_of(door, {**session, **OWN_REMOTE, "x-rfctl-csrf": other.csrf}, "") == "csrf"
    assert await reason_of(door, {**REMOTE, **OWN_REMOTE, **word}, "") == "token", (
        "the word alone is no login"
    )


async def test_session_that_was_left_is_not_welcome_any_more() -> None:
    door = build_door(Gate("geheim"))
    headers = {**REMOTE, **log_in(door)}
    visitor = await door.check_reader(build_head(headers))
    assert visitor.session is not None
    assert await door.is_welcome(visitor)
    await door.logouts.add(visitor.session)
    assert not await door.is_welcome(visitor)
    assert await door.find_visitor(build_head(headers)) is None


async def test_cookie_of_another_program_beside_ours_does_no_harm() -> None:
    door = build_door(Gate("geheim"))
    headers = build_head(
        {**REMOTE, "cookie": f"rfctl_session=x; rfctl_session={door.sessions.open()}; a=b; ;"}
    )
    assert await door.find_visitor(headers) is not None


async def test_bearer_acts_without_a_word_and_this_machine_needs_the_token() -> None:
    door = build_door(Gate("Gehéim-ключ"))
    bearer = Head(
        "POST", "/", "/", "", "1.1", [(b"authorization", "Bearer Gehéim-ключ".encode())], "203.0.113.9"
    )
    assert (await door.check_actor(bearer)).is_bearer
    assert door.has_token("Gehéim-ключ")
    assert not door.has_token("")
    assert await reason_of(door, {**LOCAL, **OWN}) == "token"
    assert await reason_of(door, {**LOCAL, "authorization": "Bearer x"}) == "token"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_nobody_reads_for_another_site(site: str) -> None:
    door = build_door(Gate())
    with pytest.raises(RejectedError):
        await door.check_reader(build_head({**LOCAL, "sec-fetch-site": site}))
    assert await door.find_visitor(build_head({**LOCAL, "sec-fetch-site": site})), (
        "a link may lead to the page"
    )


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://bot.example", "bot.example", True),
        ("https://bot.example", "BOT.example:443", True),
        ("http://bot.example", "bot.example:80", True),
        ("http://[::1]:3000", "[::1]:3000", True),
        ("http://bot.example", "bot.example:443", False),
        ("http://bot.example:x", "bot.example", False),
        ("ftp://bot.example", "bot.example", False),
        ("null", "bot.example", False),
        ("https://", "", False),
        ("https://bot.example@evil.example", "bot.example", False),
        ("https://evil.example", "bot.example", False),
    ],
)
def test_origin_is_our_own_when_host_and_port_are(origin: str, host: str, own: bool) -> None:
    assert is_own(build_head({"host": host}), origin.encode()) is own
