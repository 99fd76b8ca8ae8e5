"""Rules in a whole daemon: what a gateway brings, what the sender of a request hears, what an operator sees."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rfctl.store.connection import Connection
from tests.conftest import running
from tests.integration.ingest.test_sources import client, configuration, flushed
from tests.support.batching import make_rig
from tests.support.servers import RedisServer

DAY_S = 86_400
RULES = """
[sources.evo]
type = "evolution"
secrets = ["evo-secret"]
[sources.own]
type = "generic"
[rules.late]
max_age_ms = 3600000
action = "drop"
[rules.groups]
chats = ["group"]
action = "drop"
[rules.staff]
phones = ["+7 900 123-45-67", "7999*"]
action = "drop"
"""


def evolution(number: int, sent_s: int, chat: str = "5511999990001@s.whatsapp.net") -> dict[str, Any]:
    key = {"remoteJid": chat, "fromMe": False, "id": f"3EB0{number}"}
    if chat.endswith("@g.us"):
        key["participant"] = "5511999990001@s.whatsapp.net"
    data = {"key": key, "message": {"conversation": f"words {number}"}, "messageTimestamp": sent_s}
    return {"event": "messages.upsert", "instance": "salon", "data": data}


async def test_flood_of_old_messages_behind_a_reconnect_becomes_no_batch(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    now_s = int(time.time())
    async with running(configuration(server.url, tmp_path, RULES)) as service, client(service) as http:
        for number in range(25):
            body = evolution(number, now_s - 2 * DAY_S + number)
            answer = await http.post("/webhook/evo", json=body, headers={"apikey": "evo-secret"})
            assert (answer.status_code, answer.content) == (200, b"")
        fresh = evolution(25, now_s)
        await http.post("/webhook/evo", json=fresh, headers={"apikey": "evo-secret"})
        again = evolution(3, now_s - 2 * DAY_S + 3)
        await http.post("/webhook/evo", json=again, headers={"apikey": "evo-secret"})
    assert [merged.text for merged in await flushed(connection)] == ["words 25"]
    totals = (await make_rig(connection).store.pending()).totals
    assert (totals["dropped:late"], totals["messages_in"], totals["duplicates"]) == (25, 1, 1)


async def test_groups_and_phones_are_dropped_by_their_rules(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path, RULES)) as service, client(service) as http:
        group = evolution(1, int(time.time()), "120363000000000000@g.us")
        await http.post("/webhook/evo", json=group, headers={"apikey": "evo-secret"})
        for phone in ("79001234567", "7 (999) 000-00-00", "78880000000"):
            await http.post("/webhook/own", json={"from": phone, "message": phone})
    assert [merged.phone for merged in await flushed(connection)] == ["78880000000"]
    totals = (await make_rig(connection).store.pending()).totals
    assert (totals["dropped:groups"], totals["dropped:staff"]) == (1, 2)


async def test_answer_in_words_says_which_rule_dropped_a_message(server: RedisServer, tmp_path: Path) -> None:
    async with running(configuration(server.url, tmp_path, RULES)) as service, client(service) as http:
        body = {"from": "79001234567", "message": "x", "messageId": "1"}
        first = (await http.post("/webhook/own", json=body)).json()
        repeat = (await http.post("/webhook/own", json=body)).json()
        plain = (await http.post("/webhook/own", json={"from": "78880000000", "message": "x"})).json()
    assert first == {
        "success": True, "addedCount": 0, "duplicates": 0, "batches": [],
        "dropped": [{"phone": "79001234567", "rule": "staff"}],
    }  # fmt: skip
    assert (repeat["addedCount"], repeat["duplicates"]) == (0, 1)
    assert "dropped" not in repeat
    assert (plain["addedCount"], "dropped" in plain) == (1, False)


async def test_dropped_messages_are_counted_by_their_source_in_the_metrics(
    server: RedisServer, tmp_path: Path
) -> None:
    async with running(configuration(server.url, tmp_path, RULES)) as service, client(service) as http:
        await http.post("/webhook/own", json={"from": "79990000000", "message": "x"})
        text = (await http.get("/metrics")).text
    assert 'rfctl_daemon_messages_total{outcome="dropped",source="own"} 1.0' in text
    assert 'rfctl_daemon_messages_total{outcome="stored",source="own"} 0.0' in text
    assert 'rfctl_dropped_messages_total{rule="staff"} 1.0' in text


async def test_person_outside_of_hours_is_answered_when_they_begin(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    """The hours are on the other side of the world's clock: half a day away from now, whenever this runs."""
    hour = (time.gmtime().tm_hour + 12) % 24
    rules = f"""
[sources.own]
type = "generic"
[rules.closed]
outside_hours = ["{hour:02}:00-{hour:02}:30"]
zone = "UTC"
action = "wait_until_open"
"""
    async with running(configuration(server.url, tmp_path, rules)) as service, client(service) as http:
        answer = (await http.post("/webhook/own", json={"from": "79001234567", "message": "x"})).json()
        [batch] = answer["batches"]
        assert 11 * 3_600_000 <= batch["dueInMs"] <= 12 * 3_600_000
