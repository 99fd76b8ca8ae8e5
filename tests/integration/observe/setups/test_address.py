"""The shell looks elsewhere than the daemon, or Redis is not reached at all."""

from __future__ import annotations

import signal
import socket

from tests.integration.observe.setups.site import Site
from tests.support.servers import ServerMaker


async def test_healthy_site_has_no_finding_and_a_line_for_each_topic(site: Site) -> None:
    await site.start()
    await site.wait_until_clean()
    lines = (await site.diagnose()).lines
    assert {line.topic: line.state for line in lines} == {
        "address": "ok", "daemons": "ok", "work": "ok", "redis": "ok", "sinks": "ok", "door": "ok", "clocks": "ok",
        "keys": "ok", "host": "ok",
    }  # fmt: skip


async def test_shell_on_another_database_is_named(site: Site) -> None:
    await site.start()
    site.shell = site.configure(url=site.server.url[:-1] + "3")
    line = await site.wait_for_first("daemon_elsewhere", site.server.url)
    assert line.set_by == "variable RFCTL_REDIS__URL"
    site.shell = site.configure()
    await site.wait_until_clean()


async def test_daemon_in_another_database_is_found_without_its_listener(site: Site) -> None:
    await site.start()
    site.shell = site.configure(url=site.server.url[:-1] + "3", http__port=0)
    await site.wait_for_first("daemon_elsewhere", "database 0 of the same server")


async def test_shell_on_another_server_is_named(site: Site, own_server: ServerMaker) -> None:
    other = own_server()
    await site.start()
    site.shell = site.configure(url=other.url)
    await site.wait_for_first("daemon_elsewhere", other.url, site.server.url, f"at 127.0.0.1:{site.port}")
    site.shell = site.configure()
    await site.wait_until_clean()


async def test_shell_with_another_prefix_is_named(site: Site) -> None:
    await site.start(site.configure(redis__prefix="shop:"))
    await site.wait_for_first("daemon_elsewhere", "with the prefix shop:")
    site.shell = site.configure(redis__prefix="shop:")
    await site.wait_until_clean()


async def test_daemons_in_two_databases_are_named(site: Site) -> None:
    other = site.configure(url=site.server.url[:-1] + "1", http__port=0, daemon__role="processor")
    processor = await site.start(other)
    site.shell = site.configure(daemon__role="webhook")
    await site.start()
    await site.wait_for_first("daemon_elsewhere", "database 1 of the same server")
    await site.stop(processor)
    await site.start(site.configure(http__port=0, daemon__role="processor"))
    await site.wait_until_clean()


async def test_two_daemons_of_the_same_settings_in_two_databases_are_named(site: Site) -> None:
    twin = await site.start(site.configure(url=site.server.url[:-1] + "1", http__port=0))
    await site.start()
    await site.wait_for_first("daemon_twin", "database 1 of the same server", "redis.url alike")
    await site.stop(twin)
    await site.wait_until_clean()


async def test_two_whole_systems_in_two_databases_are_no_fault(site: Site) -> None:
    await site.start(site.configure(url=site.server.url[:-1] + "1", http__port=0, batching__max_size=5))
    await site.start()
    await site.wait_until_clean()
    [line] = [line for line in (await site.diagnose()).lines if line.topic == "address"]
    assert "another daemon uses database 1" in line.fact


async def test_redis_that_is_away_is_named_with_who_set_it(site: Site, own_server: ServerMaker) -> None:
    site.server = own_server()
    site.shell = site.configure()
    await site.start()
    await site.wait_until_clean()
    site.server.kill()
    line = await site.wait_for_first("redis_unusable", site.server.url)
    assert line.set_by == "variable RFCTL_REDIS__URL"
    assert [line.code for line in (await site.diagnose()).lines if line.state == "fail"] == ["redis_unusable"]
    site.server.start()
    await site.wait_until_clean()


async def test_wrong_password_is_named(site: Site) -> None:
    await site.start()
    site.shell = site.configure(url=site.server.url.replace("//", "//nobody:secret@"))
    line = await site.wait_for_first("redis_unusable", "nobody")
    assert line.set_by == "variable RFCTL_REDIS__URL"
    assert "secret" not in line.fact + line.set_by + line.fix
    site.shell = site.configure()
    await site.wait_until_clean()


async def test_redis_that_hangs_is_named(site: Site, own_server: ServerMaker) -> None:
    site.server = own_server()
    site.shell = site.configure()
    await site.start()
    await site.wait_until_clean()
    site.server.send_signal(signal.SIGSTOP)
    await site.wait_for_first("redis_unusable", site.server.url)
    site.server.send_signal(signal.SIGCONT)
    await site.wait_until_clean()


async def test_other_number_of_shards_is_named(site: Site) -> None:
    daemon = await site.start()
    site.shell = site.configure(redis__shards=2)
    await site.wait_for_first("layout_differs", "shards")
    site.shell = site.configure()
    await site.wait_until_clean()
    await site.stop(daemon)


async def test_another_program_on_our_port_is_named(site: Site) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.port))
        other.listen()
        await site.wait_for_first("port_taken", f"127.0.0.1:{site.port}", "pid ")
    await site.start()
    await site.wait_until_clean()
