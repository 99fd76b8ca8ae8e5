"""Proofs, handshakes and bodies over HTTP to a whole daemon, as gateways send them."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.config.toml_text import render_toml_section
from rfctl.observe import logging as logs
from rfctl.store.connection import Connection
from rfctl.store.quarantine import Quarantine
from tests.conftest import running
from tests.integration.ingest.test_sources import flushed
from tests.support.keys import COMMON
from tests.support.servers import RedisServer
from tests.support.signed_requests import BODY, MAP, SENDERS, Sender, now_s, sign

FORM = "application/x-www-form-urlencoded"
OLD = "a-secret-of-before"


@contextlib.asynccontextmanager
async def serving(server: RedisServer, tmp_path: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve one source, shop, of these settings, and give a client for it."""
    table = {"type": "generic", **settings}
    if table["type"] == "generic":
        table.setdefault("map", MAP)
    file = tmp_path / "c.toml"
    file.write_text(render_toml_section("sources.shop", table) + "\n")
    environment = {"HOME": str(tmp_path), "RFCTL_REDIS__URL": server.url, "RFCTL_HTTP__PORT": "0"}
    async with (
        running(load(Environment(environment), file=file)) as service,
        httpx.AsyncClient(base_url=service.url, trust_env=False) as http,
    ):
        yield http


def for_sender(sender: Sender) -> dict[str, Any]:
    return {
        "type": sender.type,
        "secrets": [OLD if ":" not in sender.secret else "user:before", sender.secret],
        **sender.settings,
        **sender.more,
    }


async def post(http: httpx.AsyncClient, sender: Sender, at_s: int, **options: Any) -> httpx.Response:
    request = sender.build_request(at_s=at_s, **options)
    headers = {name: value.decode() for name, value in request.headers.items()}
    path = "/webhook/shop" + (f"?{request.query}" if request.query else "")
    return await http.post(
        path, content=request.body, headers={"Content-Type": "application/json", **headers}
    )


@pytest.mark.parametrize("name", [name for name in SENDERS if SENDERS[name].type == "generic"])
async def test_request_of_each_sender_comes_in_and_a_forged_one_does_not(
    server: RedisServer, connection: Connection, tmp_path: Path, name: str
) -> None:
    sender, now = SENDERS[name], now_s()
    async with serving(server, tmp_path, **for_sender(sender)) as http:
        logs.configure(level="debug", format="json", mask=True)
        with capture_logs() as lines:
            for _ in range(3):  # a head that came before is known by its bytes
                assert (await post(http, sender, now)).status_code == 200
            forged = await http.post(
                "/webhook/shop", content=BODY, headers={"Content-Type": "application/json"}
            )
            assert (forged.status_code, forged.content) == (401, b"")
            if sender.has_time:
                assert (await post(http, sender, now - 4000)).status_code == 401
            if sender.covers_body:
                request = sender.build_request(at_s=now)
                headers = {key: value.decode() for key, value in request.headers.items()}
                other = request.body.replace(b"hi", b"ho")
                url = f"/webhook/shop?{request.query}"
                assert (await http.post(url, content=other, headers=headers)).status_code == 401
    [merged] = await flushed(connection)
    assert merged.text == "hi"
    rejected = [line["problem"] for line in lines if line["event"] == "signature_rejected"]
    assert rejected[0].startswith("source shop: it does not have the ")
    late = [line["next"] for line in lines if line.get("problem", "").endswith("clock wrong?")]
    assert [step.startswith("compare this host's clock") for step in late] == [True] * sender.has_time
    assert sender.secret not in str(lines)
    everything = [await connection.call("DUMP", key) for key in await connection.call("KEYS", "*")]
    assert not [key for key in everything if key and sender.secret.encode() in key]


@pytest.mark.parametrize("name", ["slack", "line", "vonage", "bird", "token in the query", "vk", "basic"])
async def test_head_of_a_known_shape_still_has_to_prove_itself(
    server: RedisServer, connection: Connection, tmp_path: Path, name: str
) -> None:
    sender, now = SENDERS[name], now_s()
    other_body = sender.body.replace(b"hi", b"yo").replace(b'"m1"', b'"m2"')
    statuses = []
    async with serving(server, tmp_path, **for_sender(sender)) as http:
        for _ in range(4):
            for body in (sender.body, other_body):
                statuses.append((await post(http, sender, now, body=body)).status_code)
                wrong = f"{sender.secret[:-1]}X"
                forged = body.replace(sender.secret.encode(), wrong.encode())
                statuses.append((await post(http, sender, now, body=forged, secret=wrong)).status_code)
    assert statuses == [200, 401] * 8
    [merged] = await flushed(connection)
    assert merged.text == "hi yo"


async def test_list_without_events_is_taken_in(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    sender = SENDERS["line"]
    settings = {**for_sender(sender), "map": {**MAP, "each": "events"}}
    async with serving(server, tmp_path, **settings) as http:
        assert (await post(http, sender, 0, body=b'{"destination":"U1","events":[]}')).status_code == 200
    assert await Quarantine(connection, COMMON).list_newest() == []


async def test_form_of_whatsapp_comes_from_a_partner_with_a_header_of_its_own(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    body = (Path(__file__).parents[2] / "payloads" / "whatsapp-cloud" / "text.json").read_bytes()
    async with serving(server, tmp_path, **for_sender(SENDERS["360dialog"])) as http:
        for token, status in ((SENDERS["360dialog"].secret, 200), (OLD, 200), ("no", 401)):
            headers = {"D360-Webhook-Token": token}
            assert (await http.post("/webhook/shop", content=body, headers=headers)).status_code == status
    assert len(await flushed(connection)) == 1


async def test_challenge_is_answered_after_the_proof_alone(server: RedisServer, tmp_path: Path) -> None:
    sender, now = SENDERS["slack"], now_s()
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV"}).encode()
    async with serving(server, tmp_path, **for_sender(sender), challenge="challenge") as http:
        answer = await post(http, sender, now, body=body)
        assert (answer.status_code, answer.text) == (200, "3eZbrw1aBm2rZgRNFdxV")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        forged = await post(http, sender, now, body=body, secret="another")
        assert (forged.status_code, forged.content) == (401, b"")
    settings = {**for_sender(sender), "challenge": "challenge", "challenge_format": "json"}
    async with serving(server, tmp_path, **settings) as http:
        answer = await post(http, sender, now, body=body)
        assert answer.json() == {"challenge": "3eZbrw1aBm2rZgRNFdxV"}


async def test_vk_gets_its_confirmation_and_ok_also_for_what_is_kept(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    settings = {
        "secrets": ["hush-hush"], "auth": {"type": "token", "body": "secret"}, "answer": "ok",
        "answers": {"type=confirmation": "0a1b2c3d"},
        "map": {"phone": "object.message.from_id", "text": "object.message.text", "id": "object.message.id"},
    }  # fmt: skip
    message = {
        "type": "message_new",
        "secret": "hush-hush",
        "object": {"message": {"from_id": 7, "text": "hi", "id": 5}},
    }
    async with serving(server, tmp_path, **settings) as http:
        for body, words in (
            ({"type": "confirmation", "group_id": 1, "secret": "hush-hush"}, "0a1b2c3d"),
            (message, "ok"),
            ({**message, "object": {}}, "ok"),
        ):
            answer = await http.post("/webhook/shop", json=body)
            assert (answer.status_code, answer.text) == (200, words)
        forged = await http.post("/webhook/shop", json={"type": "confirmation", "secret": "no"})
        assert (forged.status_code, forged.content) == (401, b"")
        [kept] = await Quarantine(connection, COMMON).list_newest()
    [merged] = await flushed(connection)
    assert merged.text == "hi"
    assert b"hush" not in kept.body
    assert b"hush" not in bytes(merged.messages[0].metadata)


async def test_verify_token_of_a_map_is_answered_like_metas(server: RedisServer, tmp_path: Path) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "let me in", "hub.challenge": "1158201444"}
    async with serving(server, tmp_path, secrets=["a"], verify_token="let me in") as http:
        assert (await http.get("/webhook/shop", params=asked)).text == "1158201444"
        assert (await http.get("/webhook/shop", params={**asked, "hub.verify_token": "x"})).status_code == 403


async def test_form_gzip_and_byte_order_mark_come_in(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    auth = {"Authorization": "Bearer a"}
    bodies: list[tuple[bytes, dict[str, str]]] = [
        (b"from=7900&text=form&id=1", {"Content-Type": FORM}),
        (b'\xef\xbb\xbf{"from":"7900","text":"mark","id":"2"}', {}),
        (gzip.compress(b'{"from":"7900","text":"packed","id":"3"}'), {"Content-Encoding": "gzip"}),
        (gzip.compress(b"from=7900&text=both&id=4"), {"Content-Encoding": "gzip", "Content-Type": FORM}),
        (b'{"from":"7900","text":"curl","id":"5"}', {"Content-Type": FORM}),
    ]
    async with serving(server, tmp_path, secrets=["a"]) as http:
        for body, headers in bodies:
            answer = await http.post("/webhook/shop", content=body, headers=auth | headers)
            assert (answer.status_code, answer.content) == (200, b"")
        bomb = gzip.compress(b" " * 5_000_000)
        for body, encoding, status in ((bomb, "gzip", 413), (b"{}", "br", 415), (b"{}", "gzip", 400)):
            answer = await http.post(
                "/webhook/shop", content=body, headers=auth | {"Content-Encoding": encoding}
            )
            assert answer.status_code == status
    [merged] = await flushed(connection)
    assert merged.text == "form mark packed both curl"


async def test_signature_is_over_the_unpacked_body(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    packed = gzip.compress(BODY)
    async with serving(server, tmp_path, secrets=["key"], auth="hmac-sha256", auth_header="X-S") as http:
        for signed, status in ((BODY, 200), (packed, 401)):
            headers = {"X-S": sign("key", signed).hex(), "Content-Encoding": "gzip"}
            assert (await http.post("/webhook/shop", content=packed, headers=headers)).status_code == status
    assert [merged.text for merged in await flushed(connection)] == ["hi"]
