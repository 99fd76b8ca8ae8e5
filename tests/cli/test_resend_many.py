"""All that a sink has finished since a moment is sent again, once, with the installed command and a real daemon."""

from __future__ import annotations

import json
from pathlib import Path

from rfctl.model.message import Message
from rfctl.store import LoggedDelivery
from rfctl.store.connection import Connection
from tests.cli.test_sink_commands import Operator, crm
from tests.support.batching import Rig, make_rig
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until

PEOPLE = ["79000000001", "79000000002", "79000000003"]
NOWHERE = "http://127.0.0.1:1/"


async def finish(rig: Rig, *phones: str) -> list[str]:
    """Let the sink crm finish a message of each person; returns their ids, oldest first."""
    for phone in phones:
        await rig.add([Message(phone=phone, text=f"{phone}?", id=phone, channel="generic")])
        await rig.drain()
    queue = rig.store.deliveries("crm")
    await queue.open()
    assert await queue.lease("d", 60_000)
    entries = await queue.read_new(10, 1, "d")
    assert entries is not None
    for entry in entries:
        await queue.acknowledge(entry.batch_key, entry.id)
    await queue.lease("d", 0)
    return [entry.id for entry in entries]


async def test_finished_messages_are_sent_again_under_their_ids(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    rig = make_rig(connection)
    await finish(rig, *PEOPLE)
    await rig.add([Message(phone="79000000009", text="unread", id="9", channel="generic")])
    await rig.drain()
    async with HttpReceiver() as receiver:
        operator = Operator(tmp_path, server.url, **crm(receiver.url))
        counted = await operator.data("resend", "--since", "1h", "--sink", "crm", "--dry-run")
        assert (counted["messages"], counted["sent"], counted["gone"]) == (3, 0, 0)
        refused = await operator.run("resend", "--since", "1h", "--sink", "crm")
        assert (refused.returncode, "would send 3 messages again to crm" in refused.stderr) == (2, True)
        assert await connection.call("EXISTS", "rfctl:sink:crm:bodies") == 0
        done = await operator.run("resend", "--since", "1h", "--sink", "crm", "--yes")
        assert (done.returncode, done.stdout.split(",")[0]) == (0, "3 messages sent again to crm"), (
            done.stderr
        )
        again = await operator.run("resend", "--since", "1h", "--sink", "crm", "--yes")
        assert again.returncode == 3, "what waits already is not sent twice"
        async with operator.daemon():
            await until(lambda: len(receiver.taken) == 4)
    texts = [taken["body"]["message"] for taken in receiver.taken]
    assert sorted(texts) == sorted([*(f"{phone}?" for phone in PEOPLE), "unread"])


async def test_log_says_what_was_delivered_then_and_what_is_gone(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    rig, operator = make_rig(connection), Operator(tmp_path, server.url, **crm(NOWHERE))
    first, second = await finish(rig, *PEOPLE[:2])
    for entry_id in (first, second):
        await rig.store.delivery_log.write(
            rig.shards[0], LoggedDelivery(0, PEOPLE[0], "crm", entry_id, "delivered")
        )
    await connection.call("XDEL", "rfctl:out", first)
    done = await operator.run("resend", "--since", "10m", "--sink", "crm", "--yes")
    assert done.returncode == 1, done.stderr
    assert "1 message sent again to crm" in done.stdout
    assert "1 message cannot be sent again: trimmed from the output stream" in done.stdout
    [body] = await connection.call("HKEYS", "rfctl:sink:crm:bodies")
    assert body.decode() == second


async def test_dead_letter_goes_when_its_message_is_sent_again(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    rig, operator = make_rig(connection), Operator(tmp_path, server.url, **crm(NOWHERE))
    await rig.add([Message(phone=PEOPLE[0], text="x", id="1", channel="generic")])
    await rig.drain()
    queue = rig.store.deliveries("crm")
    await queue.open()
    assert await queue.lease("d", 60_000)
    [entry] = await queue.read_new(10, 1, "d") or []
    await queue.dead_letter(entry, "410")
    answer = json.loads(
        (await operator.run("resend", "--since", "1h", "--sink", "crm", "--yes", "-o", "json")).stdout
    )
    assert (answer["sent"], await rig.store.dead_letters.count()) == (1, 0)


async def test_line_that_says_too_little_or_too_much_is_refused(server: RedisServer, tmp_path: Path) -> None:
    operator = Operator(tmp_path, server.url, **crm(NOWHERE))
    for line in (
        [],
        ["1-0", "--since", "1h"],
        ["--since", "1h"],
        ["1-0", "--dry-run"],
        ["--since", "x", "--sink", "crm"],
    ):
        assert (await operator.run("resend", *line)).returncode == 2, line
