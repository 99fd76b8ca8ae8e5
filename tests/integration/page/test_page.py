"""The page of a real daemon, spoken to as a browser and a stranger would: routes, login, live events and actions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rfctl.errors import SettingsError
from tests.conftest import configure, running
from tests.support.page_client import PHONE, SLOW, acting, browse, read_events, send, serving, wait_for_event
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer, ServerMaker
from tests.support.waiting import PATIENCE_S, until

CRM = {
    "sinks__crm__type": "http",
    "sinks__crm__url": "http://127.0.0.1:9/x",
    "sinks__crm__allow_private": "true",
}
PROXIED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Host": "bot.example"}


async def test_every_answer_keeps_other_sites_and_caches_out(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path) as service, browse(service) as http:
        for path in (
            "/",
            "/page/rfctl.css",
            "/page/rfctl.js",
            "/page/rfctl.svg",
            "/page/state",
            "/page/find",
        ):
            for method in ("GET", "HEAD"):
                answer = await http.request(method, path)
                assert answer.status_code == (400 if path == "/page/find" else 200), path
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["x-frame-options"] == "DENY"
                assert answer.headers["referrer-policy"] == "no-referrer"
                assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
                assert "default-src 'none'" in answer.headers["content-security-policy"]
                assert "access-control-allow-origin" not in answer.headers
                assert "content-encoding" not in answer.headers
                assert bool(answer.content) == (method == "GET")
        assert (await http.get("/page/state")).headers["cache-control"] == "no-store"
        assert (await http.get("/")).headers["cache-control"] == "no-store"
        assert (await http.head("/page/events")).headers["content-type"].startswith("text/event-stream")
        assert (await http.post("/")).status_code == 405
        assert (await http.get("/page/nothing")).status_code == 404


async def test_browser_keeps_files_and_asks_whether_they_are_new(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path) as service, browse(service) as http:
        first = await http.get("/page/rfctl.css")
        assert first.headers["content-type"] == "text/css; charset=utf-8"
        assert first.headers["cache-control"] == "no-cache"
        again = await http.get(
            "/page/rfctl.css", headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert (await http.get("/page/rfctl.css", headers={"If-None-Match": '"x"'})).content == first.content


async def test_state_has_the_overview_of_now(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path) as service, browse(service) as http:
        await send(service, "hello", "there")
        state = (await http.get("/page/state")).json()
        assert state["may_act"] is True
        assert state["may_log_out"] is False
        assert state["outage"] is None
        assert (state["overview"]["waiting"]["batches"], state["overview"]["waiting"]["messages"]) == (1, 2)
        [row] = state["overview"]["waiting"]["rows"]
        assert (row["phone"], row["size"]) == (PHONE, 2)


async def test_row_has_the_size_of_its_own_source(server: RedisServer, tmp_path: Path) -> None:
    sizes = {"batching__max_size": 7, "sources__generic__type": "generic", "sources__generic__max_size": 4}
    async with serving(server, tmp_path, **sizes) as service, browse(service) as http:
        await send(service, "one")
        [row] = (await http.get("/page/state")).json()["overview"]["waiting"]["rows"]
        assert (row["size"], row["max_size"]) == (1, 4)


async def test_row_has_no_size_where_a_rule_may_set_it_for_the_next_message(
    server: RedisServer, tmp_path: Path
) -> None:
    rule = {"rules__photos__types": "image", "rules__photos__max_size": 2}
    async with serving(server, tmp_path, **rule) as service, browse(service) as http:
        await send(service, "one")
        [row] = (await http.get("/page/state")).json()["overview"]["waiting"]["rows"]
        assert (row["size"], row["max_size"]) == (1, None)


async def test_two_viewers_share_the_looks_and_see_the_same(server: RedisServer, tmp_path: Path) -> None:
    async with (
        serving(server, tmp_path) as service,
        browse(service) as http,
        contextlib.AsyncExitStack() as open_,
    ):
        streams = [
            read_events(await open_.enter_async_context(http.stream("GET", "/page/events"))) for _ in range(2)
        ]
        seen: list[list[Any]] = [[], []]
        for _ in range(2):
            for place, events in enumerate(streams):
                seen[place].append(await wait_for_event(events, "state"))
        moments = [{event["overview"]["now_ms"] for event in events} for events in seen]
        assert moments[0] & moments[1]


async def test_stream_tells_of_an_outage_and_goes_on(own_server: ServerMaker, tmp_path: Path) -> None:
    server = own_server()
    async with serving(server, tmp_path) as service, browse(service) as http:
        async with http.stream("GET", "/page/events") as stream:
            events = read_events(stream)
            await wait_for_event(events, "state")
            server.kill()
            outage = await wait_for_event(events, "outage")
            assert outage["fact"]
            state = (await http.get("/page/state")).json()
            assert state["outage"]["since_ms"] == outage["since_ms"]
            assert state["overview"], "what was seen last"
            server.start()
            assert (await wait_for_event(events, "state"))["overview"]["state"]
        assert (await http.get("/page/find", params={"phone": PHONE})).status_code == 404


async def test_stop_ends_a_stream_and_does_not_wait_for_it(server: RedisServer, tmp_path: Path) -> None:
    async with (
        serving(server, tmp_path) as service,
        browse(service) as http,
        http.stream("GET", "/page/events") as stream,
    ):
        events = read_events(stream)
        await wait_for_event(events, "state")
        with capture_logs() as lines:
            stop = asyncio.ensure_future(service.stop())
            async for _ in events:  # the client raises where an answer is cut off
                pass
            await stop
    names = [line["event"] for line in lines]
    assert "daemon_stopped" in names
    assert "drain_incomplete" not in names


async def test_viewers_stay_over_a_reload_which_names_http_page(
    server: RedisServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They see the new sinks; the page itself changes with the next start."""
    before = configure(server.url, tmp_path, **SLOW)
    after = configure(server.url, tmp_path, http__page="off", **SLOW, **CRM)
    async with (
        running(before, lambda: after) as service,
        browse(service) as http,
        http.stream("GET", "/page/events") as stream,
    ):
        events = read_events(stream)
        assert (await wait_for_event(events, "state"))["overview"]["sinks"] == []
        await service.reload()
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        [reloaded] = [line for line in lines if line["event"] == "settings_reloaded"]
        assert reloaded["after_a_restart"] == ["http.page"]
        async with asyncio.timeout(PATIENCE_S):
            while not (seen := (await wait_for_event(events, "state"))["overview"]["sinks"]):
                pass
        assert [sink["name"] for sink in seen] == ["crm"]
        assert (await http.get("/")).status_code == 200


async def test_token_lets_in_by_a_form_and_a_session(server: RedisServer, tmp_path: Path) -> None:
    token = "Gehéim ключ+1"
    async with (
        serving(server, tmp_path, http__admin_token=token) as service,
        browse(service, **PROXIED) as http,
    ):
        form = await http.get("/")
        assert (form.status_code, b'action="page/login"' in form.content) == (401, True)
        for path in ("/page/state", "/page/events", "/page/find?phone=1"):
            assert (await http.get(path)).status_code == 401
        assert (await http.get("/page/rfctl.css")).status_code == 200, "the form needs it"

        with capture_logs() as lines:
            wrong = await http.post("/page/login", data={"token": token + "x"})
            right = await http.post("/page/login", data={"token": token, "username": "rfctl"})
        assert (wrong.status_code, wrong.json()["error"]) == (401, "this is not the token")
        assert [line["event"] for line in lines] == ["login_rejected", "login_accepted"]
        assert token not in str(lines)
        assert (right.status_code, right.headers["location"]) == (303, "../")
        cookie = right.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=Strict", "Path=/", "Secure", "Max-Age=43200"):
            assert part in cookie.split("; ")

        http.cookies.clear()  # the client does not send a cookie for https to this address
        http.headers["Cookie"] = cookie.partition(";")[0]
        page = await http.get("/")
        assert page.status_code == 200
        state = (await http.get("/page/state")).json()
        assert state["may_log_out"] is True

        http.headers["Origin"] = "https://bot.example"
        left = await http.post("/page/logout")
        assert (left.status_code, left.headers["clear-site-data"]) == (303, '"cache"')
        assert "Max-Age=0" in left.headers["set-cookie"]
        assert (await http.get("/page/state")).status_code == 401, "the cookie is worth nothing any more"


async def test_login_without_javascript_says_in_words_what_is_wrong(
    server: RedisServer, tmp_path: Path
) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    token = serving(server, tmp_path, http__admin_token="geheim")
    async with token as service, browse(service, **accept) as http:
        wrong = await http.post("/page/login", data={"token": "<x>"})
        assert (wrong.status_code, wrong.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert 'role="alert">This is not the token.</p>' in wrong.text
        assert "frame-ancestors 'none'" in wrong.headers["content-security-policy"]
        for link in re.findall(r'(?:href|src)="([^"]*)"', wrong.text):
            assert (await http.get(f"/page/{link}")).status_code == 200, (
                "links are relative to the form's address"
            )
        assert 'action="login"' in wrong.text
        foreign = await http.post(
            "/page/login", data={"token": "x"}, headers={"Origin": "https://evil.example"}
        )
        assert (foreign.status_code, "Only the page itself may ask" in foreign.text) == (403, True)
        while wrong.status_code == 401:
            wrong = await http.post("/page/login", data={"token": "x"})
        assert (wrong.status_code, "Too many wrong tokens came: wait" in wrong.text) == (429, True)
        assert int(wrong.headers["retry-after"]) > 0


async def test_browser_that_another_site_sent_asks_once_more_with_its_cookie(
    server: RedisServer, tmp_path: Path
) -> None:
    async with serving(server, tmp_path, http__admin_token="geheim") as service, browse(service) as http:
        for site, refresh in (("cross-site", "0"), ("same-site", "0"), ("same-origin", None), ("none", None)):
            form = await http.get("/", headers={"Sec-Fetch-Site": site})
            assert (form.status_code, form.headers.get("refresh")) == (401, refresh)
        await http.post("/page/login", data={"token": "geheim"})
        page = await http.get("/", headers={"Sec-Fetch-Site": "cross-site"})
        assert (page.status_code, page.headers.get("refresh")) == (200, None)


async def test_cookie_is_for_http_too_without_a_proxy(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path, http__admin_token="geheim") as service, browse(service) as http:
        answer = await http.post("/page/login", data={"token": "geheim"})
        assert "Secure" not in answer.headers["set-cookie"]
        assert (await http.get("/")).status_code == 200


async def test_wrong_tokens_are_bounded_and_foreign_sites_use_none_up(
    server: RedisServer, tmp_path: Path
) -> None:
    async with serving(server, tmp_path, http__admin_token="geheim") as service, browse(service) as http:
        foreign = {"Origin": "https://evil.example"}
        for _ in range(11):
            answer = await http.post("/page/login", data={"token": "x"}, headers=foreign)
            assert answer.status_code == 403
        for _ in range(10):
            assert (await http.post("/page/login", data={"token": "x"})).status_code == 401
        late = await http.post("/page/login", data={"token": "geheim"})
        assert (late.status_code, int(late.headers["retry-after"]) > 0) == (429, True)
        bearer = {"Authorization": "Bearer geheim"}
        assert (await http.get("/page/state", headers=bearer)).status_code == 200
        odd = await http.post("/page/login", content=b"token=%ff")
        assert odd.status_code == 429
        assert (await http.post("/page/logout", headers=foreign)).headers.get("set-cookie") is None


async def test_stranger_behind_the_same_proxy_locks_out_nobody(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path, http__admin_token="geheim") as service:
        async with browse(service, **PROXIED) as stranger:
            for status in [401] * 10 + [429]:
                answer = await stranger.post("/page/login", data={"token": "x"})
                assert answer.status_code == status
        async with browse(service, **{**PROXIED, "X-Forwarded-For": "6.6.6.6, 203.0.113.10"}) as operator:
            with capture_logs() as lines:
                answer = await operator.post("/page/login", data={"token": "geheim"})
            assert answer.status_code == 303
            assert [line["peer"] for line in lines] == ["203.0.113.10 by way of 127.0.0.1"]


async def test_session_opens_every_daemon_of_the_token(server: RedisServer, tmp_path: Path) -> None:
    token = {"http__admin_token": "geheim"}
    async with serving(server, tmp_path, **token) as first, serving(server, tmp_path, **token) as second:
        async with browse(first) as http:
            cookie = (await http.post("/page/login", data={"token": "geheim"})).headers["set-cookie"]
        async with acting(second, Cookie=cookie.partition(";")[0]) as http:
            answer = await http.post("/page/actions/hold", json={"phone": PHONE})
            assert answer.status_code == 200
        async with acting(first, Cookie=cookie.partition(";")[0]) as http:
            assert (await http.post("/page/actions/release", json={"phone": PHONE})).status_code == 200


async def test_batch_is_handed_over_or_discarded_once(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path) as service, acting(service) as http:
        await send(service, "a", "b")
        with capture_logs() as lines:
            answer = await http.post("/page/actions/hand-over", json={"batch_key": PHONE})
            assert answer.json()["done"] == "2 messages handed over"
            again = await http.post("/page/actions/hand-over", json={"batch_key": PHONE})
            assert (again.status_code, "not pending any more" in again.json()["error"]) == (404, True)
            await send(service, "c")
            thrown = (await http.post("/page/actions/discard", json={"batch_key": PHONE})).json()
            assert (thrown["done"], thrown["messages"][0]["message"]) == ("1 message discarded", "c")
            assert (await http.post("/page/actions/discard", json={"batch_key": PHONE})).status_code == 404
        done = [line for line in lines if line.get("by") == "page"]
        assert [line["event"] for line in done] == ["batch_handed_over", "batch_discarded"]
        assert (await service._store.pending()).batches == 0


async def test_held_person_is_released_before_a_hand_over(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path) as service, acting(service) as http:
        body = {"phone": "+7 900 123-45-67", "for": "2h", "note": "we talk"}
        [hold] = (await http.post("/page/actions/hold", json=body)).json()["held"]
        assert (hold["phone"], hold["by"], hold["note"]) == (PHONE, "page", "we talk")
        await send(service, "a")
        refused = await http.post("/page/actions/hand-over", json={"batch_key": PHONE})
        assert (refused.status_code, "is held until" in refused.json()["error"]) == (409, True)
        released = await http.post("/page/actions/release", json={"phone": PHONE, "discard": False})
        assert released.json()["done"] == "released: 1 message handed over"
        assert (await http.post("/page/actions/release", json={"phone": PHONE})).status_code == 404


async def test_batch_that_is_kept_apart_is_held_by_its_key(server: RedisServer, tmp_path: Path) -> None:
    apart = serving(server, tmp_path, batching__split_by="company")
    async with apart as service, acting(service) as http:
        body = {"from": PHONE, "body": "a", "id": "1", "companyId": 7}
        assert (await http.post("/webhook/generic", json=body)).status_code == 200
        [row] = (await service._store.pending()).next_due
        assert row.batch_key.startswith(("#", "&"))
        [hold] = (await http.post("/page/actions/hold", json={"phone": row.batch_key})).json()["held"]
        assert (hold["phone"], hold["batch_key"], hold["size"]) == (PHONE, row.batch_key, 1)
        released = await http.post("/page/actions/release", json={"phone": row.batch_key, "discard": True})
        assert (released.json()["done"], released.json()["count"]) == ("released: 1 message discarded", 1)
        assert len(released.json()["messages"]) == 1, "the last copy"


async def test_dead_of_a_sink_are_sent_again(server: RedisServer, tmp_path: Path) -> None:
    async with HttpReceiver([400, 400]) as receiver:
        sink = {**CRM, "sinks__crm__url": receiver.url, "sinks__crm__retry_delays_ms": "[]"}
        async with serving(server, tmp_path, **sink) as service, acting(service) as http:
            for phone in ("1", "2"):
                await send(service, "a" + phone, phone=phone)
                await http.post("/page/actions/hand-over", json={"batch_key": phone})

            async def are_dead() -> bool:
                return await service._store.dead_letters.count() == 2

            await until(are_dead)
            answer = (await http.post("/page/actions/resend", json={"sink": "crm"})).json()
            assert (answer["done"], answer["more"]) == ("2 messages sent again to crm", False)
            await until(lambda: len(receiver.taken) == 2)
            assert await service._store.dead_letters.count() == 0


async def test_sink_is_paused_and_goes_on(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path, **CRM) as service, acting(service) as http:
        assert (await http.post("/page/actions/resend", json={"sink": "crm"})).status_code == 404
        assert (await http.post("/page/actions/resume", json={"sink": "crm"})).status_code == 409
        assert (await http.post("/page/actions/pause", json={"sink": "cmr"})).status_code == 404
        paused = await http.post("/page/actions/pause", json={"sink": "crm", "note": "moves"})
        assert paused.json()["done"] == "crm is paused: moves"
        pause = (await service._store.paused_sinks.list())["crm"]
        assert (pause.why, pause.by) == ("moves", "page")
        again = await http.post("/page/actions/pause", json={"sink": "crm", "note": "x"})
        assert (again.status_code, again.json()["error"]) == (409, "crm is paused already: moves")
        assert (await http.post("/page/actions/resume", json={"sink": "crm"})).json()["done"] == "crm goes on"
        assert await service._store.paused_sinks.list() == {}


async def test_find_says_what_became_of_a_person(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path) as service, browse(service) as http:
        await send(service, "hello")
        answer = (await http.get("/page/find", params={"phone": "+7 900 123-45-67"})).json()
        assert (answer["phone"], answer["size"], answer["complete"]) == (PHONE, 1, True)
        [event] = answer["timeline"]
        assert (event["event"], "hello" in event["line"]) == ("pending", True)
        nobody = await http.get("/page/find", params={"phone": "1"})
        assert (nobody.status_code, "nothing of this person" in nobody.json()["error"]) == (404, True)


BODIES: dict[str, dict[str, Any]] = {
    "hand-over": {"batch_key": PHONE},
    "discard": {"batch_key": PHONE},
    "pause": {"sink": "crm"},
    "resume": {"sink": "crm"},
    "resend": {"sink": "crm"},
    "hold": {"phone": PHONE},
    "release": {"phone": PHONE},
}


async def test_foreign_site_and_read_only_page_change_nothing(server: RedisServer, tmp_path: Path) -> None:
    read_only = serving(server, tmp_path, http__page="read-only", daemon__role="webhook", **CRM)
    async with serving(server, tmp_path, **CRM) as service, read_only as shown, acting(service) as http:
        await send(service, "a")
        async with acting(shown) as looking:
            assert (await looking.get("/page/state")).json()["may_act"] is False
            for name, body in BODIES.items():
                answer = await looking.post(f"/page/actions/{name}", json=body)
                assert (answer.status_code, "read-only" in answer.json()["error"]) == (403, True)
        for name, body in BODIES.items():
            for headers, status in (
                ({"Origin": "https://evil.example"}, 403),
                ({"Host": "evil.example"}, 403),
                ({"Sec-Fetch-Site": "cross-site"}, 403),
                ({"X-Rfctl-Csrf": ""}, 403),
                ({"X-Forwarded-For": "203.0.113.9"}, 401),
                ({"Content-Type": "text/plain"}, 415),
            ):
                content = json.dumps(body)
                more = {"Content-Type": "application/json", **headers}
                answer = await http.post(f"/page/actions/{name}", content=content, headers=more)
                assert answer.status_code == status, (name, headers)
            assert (await http.get(f"/page/actions/{name}")).status_code == 405
        assert (await service._store.pending()).messages == 1
        assert await service._store.paused_sinks.list() == {}
        assert await service._store.holds.list_held() == []


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("hand-over", "{}", 400),
        ("hand-over", '{"batch_key": ""}', 400),
        ("hand-over", '{"batch_key": 7}', 400),
        ("release", '{"phone": "7", "discrad": true}', 400),
        ("release", "nope", 400),
        ("release", '"\\ud800"', 400),
        ("hold", '{"phone": "7", "for": "400d"}', 400),
        ("hold", '{"phone": " "}', 400),
        ("nothing", "{}", 404),
        ("hand-over", " " * 100_000, 413),
    ],
)
async def test_action_that_cannot_be_read_says_so(
    server: RedisServer, tmp_path: Path, name: str, content: str, status: int
) -> None:
    async with serving(server, tmp_path) as service, acting(service) as http:
        json_type = {"Content-Type": "application/json"}
        answer = await http.post(f"/page/actions/{name}", content=content, headers=json_type)
        assert (answer.status_code, answer.json()["success"]) == (status, False)


async def test_page_that_is_off_is_not_there(server: RedisServer, tmp_path: Path) -> None:
    async with serving(server, tmp_path, http__page="off") as service, browse(service) as http:
        for path in ("/", "/page/state", "/page/rfctl.css", "/page/login"):
            assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, "on"),
        ({"http__host": "::1"}, "on"),
        ({"http__host": "0.0.0.0"}, "off"),
        ({"http__host": "0.0.0.0", "http__admin_token": "x"}, "on"),
        ({"http__host": "unix:/run/x"}, "off"),
        ({"http__host": "unix:/run/x", "http__admin_token": "x"}, "on"),
        ({"http__page": "off", "http__admin_token": "x"}, "off"),
        ({"http__host": "0.0.0.0", "http__page": "read-only"}, "read-only"),
    ],
)
def test_page_is_there_where_somebody_may_open_it(
    tmp_path: Path, settings: dict[str, str], mode: str
) -> None:
    assert configure("redis://x", tmp_path, **settings).settings.http.page_in_force == mode


def test_page_over_a_unix_socket_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        configure("redis://x", tmp_path, http__host="unix:/run/x", http__page="on")
    assert "Set admin_token" in str(caught.value.problems)
