"""Providers' requests over HTTP to a whole daemon: verified, stored once, quarantined when unparsed."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.daemon.daemon import Daemon
from rfctl.errors import RedisUnreachableError, SettingsError
from rfctl.observe import logging as logs
from rfctl.store.connection import Connection
from rfctl.store.counters import Counters
from rfctl.store.quarantine import Quarantine
from tests.conftest import running
from tests.support.batching import make_rig
from tests.support.keys import COMMON, SHARD
from tests.support.recorded import body as recorded
from tests.support.servers import RedisServer, ServerMaker, patient_address
from tests.support.waiting import PATIENCE_S, until

SECRET = "app-secret"
SALON = """
[sources.salon]
type = "whatsapp-cloud"
secrets = ["old", "app-secret"]
verify_token = "let me in"
company = 962302
[sources.tg]
type = "telegram"
secrets = ["hush"]
[sources.evo]
type = "evolution"
secrets = ["evo-secret"]
"""


def configuration(url: str, tmp_path: Path, text: str = SALON, **variables: str) -> Configuration:
    file = tmp_path / "c.toml"
    file.write_text(text)
    environment = {"HOME": str(tmp_path), "RFCTL_REDIS__URL": url, "RFCTL_HTTP__PORT": "0", **variables}
    return load(Environment(environment), file=file)


def client(service: Daemon) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=service.url, trust_env=False)


def whatsapp(*messages: dict[str, Any], **value: Any) -> bytes:
    change = {
        "field": "messages",
        "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550001111", "phone_number_id": "106540352242922"},
            "messages": list(messages),
            **value,
        },
    }
    return json.dumps(
        {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    ).encode()


def text(body: str, number: int, phone: str = "79001234567") -> dict[str, Any]:
    return {
        "from": phone,
        "id": f"wamid.{number}",
        "timestamp": "1790000000",
        "type": "text",
        "text": {"body": body},
    }


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


async def post(http: httpx.AsyncClient, body: bytes, secret: str = SECRET) -> httpx.Response:
    return await http.post("/webhook/salon", content=body, headers=signed(body, secret))


@contextlib.contextmanager
def logged() -> Iterator[list[Any]]:
    """What a running daemon logs at any level."""
    logs.configure(level="debug", format="json", mask=True)
    with capture_logs() as lines:
        yield lines


async def flushed(connection: Connection) -> list[Any]:
    batches = make_rig(connection)
    await batches.drain("flush")
    return await batches.collect()


async def test_request_with_several_phones_is_stored_and_answered_without_a_body(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        body = whatsapp(text("a", 1), text("b", 2, "49151"), text("c", 3))
        answer = await post(http, body)
        assert (answer.status_code, answer.content) == (200, b"")
        merged = {message.phone: message for message in await flushed(connection)}
    assert {phone: message.text for phone, message in merged.items()} == {"79001234567": "a c", "49151": "b"}
    message = merged["49151"]
    assert (message.company, message.channel, message.platform, message.account) == (
        962302,
        "salon",
        "whatsapp",
        "106540352242922",
    )


async def test_hidden_number_is_resolved_by_an_earlier_message(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    hidden = {name: value for name, value in text("b", 2).items() if name != "from"}
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        for message in (text("a", 1), hidden):
            body = whatsapp({**message, "from_user_id": "US.13491208655302741918"})
            assert (await post(http, body)).status_code == 200
        [merged] = await flushed(connection)
    assert (merged.phone, merged.text) == ("79001234567", "a b")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": "sha256=" + "0" * 64},
        {"X-Hub-Signature-256": "sha256="},
        [(b"X-Hub-Signature-256", "sha256=é☃".encode())],
        {"X-Hub-Signature-256": "sha1=" + "0" * 40},
    ],
)
async def test_unsigned_request_is_401_without_a_body_and_stores_nothing(
    server: RedisServer, connection: Connection, tmp_path: Path, headers: dict[str, Any] | list[Any]
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        answer = await http.post("/webhook/salon", content=whatsapp(text("a", 1)), headers=headers)
        assert (answer.status_code, answer.content) == (401, b"")
    assert await connection.call("EXISTS", "rfctl:due") == 0
    assert await connection.call("EXISTS", "rfctl:quarantine") == 0


async def test_bytes_are_verified_before_they_are_parsed(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        assert (await http.post("/webhook/salon", content=b"{{{{")).status_code == 401
        assert (await post(http, b"{{{{")).status_code == 200
        [kept] = await Quarantine(connection, COMMON).list_newest()
    assert (kept.source, kept.type, kept.body) == ("salon", "whatsapp-cloud", b"{{{{")
    assert "JSON" in kept.why


async def test_handshake_of_meta_is_answered_with_its_challenge(server: RedisServer, tmp_path: Path) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "let me in", "hub.challenge": "1158201444"}
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        answer = await http.get("/webhook/salon", params=asked)
        assert (answer.status_code, answer.text) == (200, "1158201444")
        assert answer.headers["content-type"].startswith("text/plain")
        for wrong in ({"hub.verify_token": "no"}, {"hub.challenge": "<script>"}, {"hub.mode": "x"}):
            assert (await http.get("/webhook/salon", params={**asked, **wrong})).status_code == 403
        assert (await http.get("/webhook/tg")).status_code == 403
        assert (await http.get("/webhook/nobody")).status_code == 404


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("salon", "is sources.salon.verify_token the one that Meta was told?"),
        ("mute", "set sources.mute.verify_token to the one that Meta was told"),
    ],
)
async def test_rejected_handshake_is_logged_with_a_hint_at_its_token(
    server: RedisServer, tmp_path: Path, source: str, hint: str
) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "no", "hub.challenge": "1158201444"}
    mute = SALON + '[sources.mute]\ntype = "whatsapp-cloud"\nsecrets = ["app-secret"]\n'
    async with running(configuration(server.url, tmp_path, mute)) as service, client(service) as http:
        with logged() as lines:
            answer = await http.get(f"/webhook/{source}", params=asked)
    assert (answer.status_code, answer.content) == (403, b"")
    [refused] = [line for line in lines if line["event"] == "handshake_rejected"]
    assert (refused["source"], refused["next"]) == (source, hint)


@pytest.mark.parametrize("source", ["tg", "evo"])
async def test_get_to_a_source_without_handshake_is_answered_with_the_method(
    server: RedisServer, tmp_path: Path, source: str
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        with logged() as lines:
            answer = await http.get(f"/webhook/{source}")
    assert answer.status_code == 403
    assert answer.json()["error"] == f"source {source} takes requests by POST, and answers no GET"
    assert "verify_token" not in str(lines)


@pytest.mark.parametrize("source", ["tg", "salon"])
async def test_head_says_that_an_address_is_there_and_nothing_else(
    server: RedisServer, tmp_path: Path, source: str
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        answer, nobody = await http.head(f"/webhook/{source}"), await http.head("/webhook/nobody")
    assert (answer.status_code, answer.content) == (200, b"")
    assert nobody.status_code == 404


async def test_retry_storm_of_fifty_stores_one_copy(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        body = whatsapp(text("once", 1), text("and once", 2))
        answers = await asyncio.gather(*(post(http, body) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        [merged] = await flushed(connection)
    assert merged.text == "once and once"
    totals = await connection.call("HGET", "rfctl:totals", "duplicates")
    assert totals == b"98"


async def test_parsed_part_is_stored_and_the_unparsed_part_is_quarantined(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        odd = {"id": "wamid.2", "type": "text", "timestamp": "x", "text": 5}
        assert (await post(http, whatsapp(text("a", 1), odd, text("b", 3)))).status_code == 200
        [merged] = await flushed(connection)
        [kept] = await Quarantine(connection, COMMON).list_newest()
    assert merged.text == "a b"
    assert b"wamid.2" in kept.body
    assert b"wamid.1" not in kept.body


async def test_delivery_status_is_counted_and_never_batched(
    server: RedisServer, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.daemon.heartbeat.BEAT_S", 0.05)
    body = whatsapp(statuses=[{"id": "wamid.9", "status": "read", "timestamp": "1", "recipient_id": "7"}])
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        assert (await post(http, body)).status_code == 200
        counted = await until(lambda: connection.call("HGET", "rfctl:totals", "skipped:status"))
    assert counted == b"1"
    assert await connection.call("EXISTS", "rfctl:due") == 0


async def test_counts_that_cannot_be_written_are_written_the_next_time(own_server: ServerMaker) -> None:
    away = own_server()
    gone = Connection.open(patient_address(away.url))
    counters = Counters(gone, SHARD)
    counters.add({"skipped:status": 2})
    away.kill()
    with pytest.raises(RedisUnreachableError, match="cannot be reached"):
        await counters.write()
    away.start()
    await counters.write()
    await counters.write()
    assert await gone.call("HGET", "rfctl:totals", "skipped:status") == b"2"
    await gone.close()


async def test_picture_becomes_its_caption_or_a_placeholder(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    def picture(number: int, **more: Any) -> dict[str, Any]:
        image = {"id": f"m{number}", "mime_type": "image/jpeg", **more}
        return {**text("", number), "type": "image", "image": image}

    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        await post(http, whatsapp(text("look", 1), picture(2), picture(3, caption="and this")))
        [merged] = await flushed(connection)
        assert merged.text == "look [image] and this"
        assert [message.media[0].id for message in merged.messages[1:]] == ["m2", "m3"]
        await connection.call("FLUSHALL")
    settings = configuration(server.url, tmp_path, RFCTL_BATCHING__PLACEHOLDER="")
    async with running(settings) as service, client(service) as http:
        await post(http, whatsapp(text("look", 1), picture(2)))
        [merged] = await flushed(connection)
        assert merged.text == "look"
        assert len(merged.messages) == 2


async def test_apikey_of_evolution_is_never_stored(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        headers = {"Authorization": "Bearer evo-secret"}
        body = {"event": "messages.upsert", "instance": "shop", "apikey": "TOPSECRET", "data": {"odd": 1}}
        assert (await http.post("/webhook/evo", json=body, headers=headers)).status_code == 200
        good = {
            "event": "messages.upsert", "instance": "shop", "apikey": "TOPSECRET",
            "data": {
                "key": {"remoteJid": "49151@s.whatsapp.net", "fromMe": False, "id": "E1"},
                "message": {"conversation": "hi"}, "messageType": "conversation", "messageTimestamp": 1790000000,
            },
        }  # fmt: skip
        answer = await http.post("/webhook/evo/messages-upsert", json=good, headers=headers)
        assert answer.status_code == 200
        [merged] = await flushed(connection)
        assert (merged.phone, merged.account) == ("49151", "shop")
        [kept] = await Quarantine(connection, COMMON).list_newest()
        assert b"TOPSECRET" not in kept.body
        assert all(b"TOPSECRET" not in raw for raw in merged.raw)


async def test_parsed_and_unparsed_requests_are_503_without_redis(
    own_server: ServerMaker, tmp_path: Path
) -> None:
    server = own_server()
    settings = configuration(server.url, tmp_path, RFCTL_REDIS__TIMEOUT_MS="300")
    async with running(settings) as service, client(service) as http:
        server.kill()
        for body in (whatsapp(text("a", 1)), b"{{{{"):
            answer = await http.post("/webhook/salon", content=body, headers=signed(body), timeout=PATIENCE_S)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        server.start()


async def test_source_without_secrets_serves_this_machine_only(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    open_to_all = '[sources.salon]\ntype = "telegram"\n'
    update = {
        "update_id": 1,
        "message": {
            "message_id": 5, "date": 1790000000, "text": "hi",
            "from": {"id": 7, "is_bot": False, "first_name": "x"}, "chat": {"id": 7, "type": "private"},
        },
    }  # fmt: skip
    async with (
        running(configuration(server.url, tmp_path, open_to_all)) as service,
        client(service) as http,
    ):
        assert (await http.post("/webhook/salon", json=update)).status_code == 200
        proxied = {"X-Forwarded-For": "203.0.113.9"}
        refused = await http.post("/webhook/salon", json=update, headers=proxied)
        assert refused.status_code == 401
    everywhere = configuration(server.url, tmp_path, open_to_all, RFCTL_HTTP__HOST="0.0.0.0")
    with pytest.raises(SettingsError, match="setting is wrong") as problem:
        await Daemon(everywhere).start()
    assert "sources.salon: it has no secrets" in problem.value.problems[0]
    assert "insecure = true" in problem.value.next
    meant = open_to_all + "insecure = true\n"
    async with (
        running(configuration(server.url, tmp_path, meant, RFCTL_HTTP__HOST="0.0.0.0")) as service,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        url = service.url.replace("0.0.0.0", "127.0.0.1") + "/webhook/salon"
        assert (await http.post(url, json=update, headers=proxied)).status_code == 200


SIMPLE = [
    "text/plain",
    "text/plain; charset=UTF-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
]
JSON = [
    "application/json",
    "Application/JSON; charset=utf-8",
    "application/cloudevents+json",
    "application/json ;charset=utf-8",
]
HELLO = b'{"from":"7","message":"hi"}'


async def test_source_without_secrets_rejects_content_types_of_web_pages(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    unverified = '[sources.generic]\n[sources.tg]\ntype = "telegram"\ninsecure = true\n'
    async with (
        running(configuration(server.url, tmp_path, unverified)) as service,
        client(service) as http,
    ):
        for path, source in (("whatsapp/batched", "generic"), ("tg", "tg")):
            for kind in (*SIMPLE, "application/jsonx", "text/json", "json", ""):
                answer = await http.post(f"/webhook/{path}", content=HELLO, headers={"Content-Type": kind})
                assert answer.status_code == 415, kind
            answer = await http.post(f"/webhook/{path}", content=HELLO)
            assert answer.status_code == 415
            assert "send Content-Type: application/json" in answer.json()["error"]
            assert f"or set sources.{source}.secrets" in answer.json()["error"]
    assert await connection.call("EXISTS", "rfctl:due") == 0


async def test_source_without_secrets_accepts_every_spelling_of_json(
    server: RedisServer, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path, "")) as service, client(service) as http:
        for kind in JSON:
            headers = {"Content-Type": kind}
            answer = await http.post("/webhook/whatsapp/batched", content=HELLO, headers=headers)
            assert (answer.status_code, answer.json()["addedCount"]) == (200, 1), kind


async def test_verified_request_is_accepted_with_any_content_type(
    server: RedisServer, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        body = whatsapp(text("a", 1))
        assert (await post(http, body)).status_code == 200
        for kind in (*SIMPLE, *JSON):
            headers = signed(body) | {"Content-Type": kind}
            assert (await http.post("/webhook/salon", content=body, headers=headers)).status_code == 200, kind


async def test_forms_of_twilio_are_accepted_without_secrets(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    sms = '[sources.sms]\ntype = "twilio"\npublic_url = "https://bot.example.com"\n'
    async with running(configuration(server.url, tmp_path, sms)) as service, client(service) as http:
        form = {"From": "+12025550143", "To": "+14155550100", "MessageSid": "SM1", "Body": "hi"}
        assert (await http.post("/webhook/sms", data=form)).status_code == 200
        [merged] = await flushed(connection)
    assert merged.text == "hi"


async def test_deletion_in_a_group_removes_its_pending_message(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    gateway = '[sources.gateway]\ntype = "waha"\n'
    async with running(configuration(server.url, tmp_path, gateway)) as service, client(service) as http:
        for name in ("group_text.json", "deletion_in_a_group.json"):
            sent = json.loads(recorded("waha", name))
            assert (await http.post("/webhook/gateway", json=sent)).status_code == 200
        assert await flushed(connection) == [], "what is left says nothing"
    assert await connection.call("HGET", SHARD.totals, "reason:empty") == b"1"


async def test_edit_of_a_message_handed_over_comes_behind_later_ones_in_order_sent(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    def update(number: int, words: str, **more: Any) -> dict[str, Any]:
        who = {"chat": {"id": 7, "type": "private"}, "from": {"id": 7}}
        return {"message_id": number, "date": 1790000000 + number, "text": words, **who, **more}

    batches = make_rig(connection, order="sent")
    unverified = '[sources.bot]\ntype = "telegram"\n'
    async with running(configuration(server.url, tmp_path, unverified)) as service, client(service) as http:
        await http.post("/webhook/bot", json={"update_id": 1, "message": update(1, "at 5")})
        await batches.drain("flush")
        await http.post("/webhook/bot", json={"update_id": 2, "message": update(2, "please")})
        edit = update(1, "at 6", edit_date=1790000003)
        await http.post("/webhook/bot", json={"update_id": 3, "edited_message": edit})
        await batches.drain("flush")
    assert [message.text for message in await batches.collect()] == ["at 5", "please at 6"]


async def test_crash_of_a_source_quarantines_the_request(
    server: RedisServer, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(self: Any, body: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("rfctl.sources.telegram.source.Telegram.parse", crash)
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        headers = {"X-Telegram-Bot-Api-Secret-Token": "hush"}
        assert (await http.post("/webhook/tg", content=b"{}", headers=headers)).status_code == 200
        [kept] = await Quarantine(connection, COMMON).list_newest()
        assert "ZeroDivisionError" in kept.why
        assert (await http.get("/healthz")).status_code == 200


async def test_generic_source_is_off_when_the_settings_name_other_sources(
    server: RedisServer, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path)) as service, client(service) as http:
        answer = await http.post("/webhook/whatsapp/batched", json={"from": "7", "message": "x"})
        assert answer.status_code == 404
        assert "no source generic" in answer.json()["error"]


async def test_batches_wait_by_the_timers_of_their_source_and_the_rules(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    rules = """
[sources.fast]
type = "generic"
quiet_ms = 150
[sources.slow]
type = "generic"
quiet_ms = 4000
[rules.stop]
words = ["stop"]
action = "discard_batch"
"""
    async with running(configuration(server.url, tmp_path, rules)) as service, client(service) as http:
        for name in ("fast", "slow"):
            answer = await http.post(f"/webhook/{name}", json={"from": name, "message": "x"})
            assert answer.json()["batches"][0]["dueInMs"] == (150 if name == "fast" else 4000)
        [merged] = await until(lambda: make_rig(connection).collect())
        assert (merged.phone, merged.late_ms < 250) == ("fast", True)
        await http.post("/webhook/slow", json={"from": "slow", "message": "Stop!"})
        stopped = (await make_rig(connection).collect())[-1]
        assert (stopped.text, stopped.discarded, stopped.reason) == ("Stop!", 1, "bypass")
