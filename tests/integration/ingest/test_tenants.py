"""Several tenants behind one source of a whole daemon: two numbers of one app, and a number that nobody knows."""

from __future__ import annotations

from pathlib import Path

from rfctl.store.connection import Connection
from rfctl.store.quarantine import Quarantine
from tests.cli.test_sink_commands import Operator
from tests.conftest import running
from tests.integration.ingest.test_sources import SECRET, client, configuration, flushed, signed
from tests.support.batching import make_rig
from tests.support.keys import COMMON
from tests.support.servers import RedisServer
from tests.unit.sources.test_tenants import whatsapp

APP = f"""
[sources.app]
type = "whatsapp-cloud"
secrets = ["{SECRET}"]
companies = {{ 106 = 962302, 206 = "two" }}
"""


async def test_person_who_writes_to_two_numbers_of_an_app_has_two_batches(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    body = whatsapp("106", "206")
    async with running(configuration(server.url, tmp_path, APP)) as service, client(service) as http:
        assert (await http.post("/webhook/app", content=body, headers=signed(body))).status_code == 200
        rig = make_rig(connection)
        assert (await rig.store.pending()).batches == 2, "none has ended the other"
        repeat = await http.post("/webhook/app", content=body, headers=signed(body))
        assert repeat.status_code == 200
        assert (await rig.store.pending()).totals["duplicates"] == 2
    merged = await flushed(connection)
    assert {(message.phone, message.company, message.account, message.count) for message in merged} == {
        ("1777", 962302, "106", 1),
        ("1777", "two", "206", 1),
    }


async def test_messages_to_unknown_accounts_are_kept_and_counted(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    body = whatsapp("106", "306")
    async with running(configuration(server.url, tmp_path, APP)) as service, client(service) as http:
        assert (await http.post("/webhook/app", content=body, headers=signed(body))).status_code == 200
    assert {message.company for message in await flushed(connection)} == {962302, None}
    assert (await make_rig(connection).store.pending()).totals["unknown_account:app"] == 1
    shown = await Operator(tmp_path, server.url).run("stats")
    assert "unknown account" in shown.stdout


async def test_messages_to_unknown_accounts_wait_in_quarantine_until_they_are_named(
    server: RedisServer, connection: Connection, tmp_path: Path
) -> None:
    body, strict = whatsapp("106", "306"), APP + 'unknown_account = "quarantine"\n'
    async with running(configuration(server.url, tmp_path, strict)) as service, client(service) as http:
        assert (await http.post("/webhook/app", content=body, headers=signed(body))).status_code == 200
    assert [message.company for message in await flushed(connection)] == [962302]
    [kept] = await Quarantine(connection, COMMON).list_newest()
    assert kept.why == "account 306 is not in companies"
    file = tmp_path / "named.toml"
    file.write_text(strict.replace("206 =", "306 = 7, 206 ="))
    operator = Operator(tmp_path, server.url)
    done = await operator.run("--config", str(file), "quarantine", "retry", kept.id)
    assert done.returncode == 0, done.stderr
    assert [message.company for message in await flushed(connection)] == [962302, 7]
    assert await Quarantine(connection, COMMON).list_newest() == []
