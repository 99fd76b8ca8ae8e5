"""The delivery log of a running daemon: what a delivery over HTTP leaves there, and how a reload turns it off and on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rfctl.store import LoggedDelivery
from rfctl.store.connection import Connection
from rfctl.store.delivery_log import DeliveryLog
from tests.conftest import running
from tests.integration.daemon.test_reload import File, client, say
from tests.support.keys import SHARD
from tests.support.receivers import HttpReceiver
from tests.support.servers import RedisServer
from tests.support.waiting import until


def settings(url: str, max_bytes: int) -> str:
    return (
        f"[batching]\nquiet_ms = 50\nmax_size = 1\n[delivery_log]\nmax_bytes = {max_bytes}\n[sources.generic]\n"
        f'[sinks.crm]\ntype = "http"\nurl = "{url}"\nallow_private = true\n'
    )


async def test_log_is_turned_off_and_on_by_a_reload(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    file = File(server.url, tmp_path)

    async def are_delivered(number: int) -> bool:
        return int(await connection.call("HGET", SHARD.totals, "sink:crm:delivered") or 0) == number

    async def read_log() -> list[LoggedDelivery]:
        return [item async for item in DeliveryLog(connection, [SHARD]).iterate()]

    async with (
        HttpReceiver() as receiver,
        running(file.write(settings(receiver.url, 1_000_000)), file.load) as service,
        client(service) as http,
    ):
        for number, max_bytes in enumerate((1_000_000, 0, 1_000_000), 1):
            file.write(settings(receiver.url, max_bytes))
            await service.reload()
            assert (await say(http, "generic", f"7900{number}", str(number))).status_code == 200
            await until(partial(are_delivered, number))
        log = await read_log()
        assert [item.phone for item in log] == ["79003", "79001"]
        assert [(item.sink, item.outcome, item.attempts) for item in log] == [("crm", "delivered", 1)] * 2
        assert all(item.took_ms is not None for item in log)
        assert await connection.call("KEYS", "*canary*:log") == [], "the canary leaves no log"
