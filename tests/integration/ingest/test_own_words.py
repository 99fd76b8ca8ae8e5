"""Own words of a gateway with a map, in a whole daemon: a person's hold who they are to, and the bot's hold nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rfctl.store.connection import Connection
from tests.conftest import running
from tests.integration.ingest.test_sources import client, configuration
from tests.support.batching import make_rig
from tests.support.servers import RedisServer
from tests.support.waiting import until

ZAPI = """
[sources.salon]
preset = "zapi"
insecure = true
own = "hold"
release_words = ["bot, go on"]
"""
PHONE = "5544999990001"


def words(text: str, number: int, phone: str = PHONE, **fields: Any) -> dict[str, Any]:
    return {
        "type": "ReceivedCallback", "connectedPhone": "554499990000", "messageId": f"3EB0{number}", "phone": phone,
        "isGroup": False, "fromMe": False, "fromApi": False, "text": {"message": text}, **fields,
    }  # fmt: skip


async def test_answer_by_hand_holds_the_person_until_the_word_that_releases(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    rig = make_rig(connection)
    bodies = [
        words("hello", 1),
        words("Bot: hello", 2, fromMe=True, fromApi=True),
        words("I am on it", 3, fromMe=True),
        words("thank you", 4),
        words("a reply to many", 5, phone="1203-group", fromMe=True, isGroup=True),
    ]
    async with running(configuration(server.url, tmp_path, ZAPI)) as service, client(service) as http:
        for body in bodies[:2]:
            assert (await http.post("/webhook/salon", json=body)).status_code == 200
        assert await rig.store.holds.list_held() == [], "what the bot sent holds nobody"
        for body in bodies[2:]:
            assert (await http.post("/webhook/salon", json=body)).status_code == 200
        [hold] = await rig.store.holds.list_held()
        assert (hold.phone, hold.size) == (PHONE, 2)
        await http.post("/webhook/salon", json=words("Bot, go on", 6, fromMe=True))
        assert await rig.store.holds.list_held() == []
        text = (await http.get("/metrics")).text
        [merged] = await until(rig.collect)
    counts = {"stored": 2, "own": 2, "duplicate": 0}
    for outcome, count in counts.items():
        assert f'rfctl_daemon_messages_total{{outcome="{outcome}",source="salon"}} {count}.0' in text
    assert (merged.text, merged.phone, merged.reason) == ("hello thank you", PHONE, "released")
