"""Daemons that differ, and work that nobody does."""

from __future__ import annotations

import re

import msgspec

from rfctl.daemon.daemon import Daemon
from rfctl.store import DaemonRecord
from tests.integration.observe.setups.site import QUICK, Site
from tests.support.waiting import until

SINK = {"sinks__bot__type": "list", "sinks__bot__key": "bot"}


async def test_two_daemons_with_other_timers_are_named(site: Site) -> None:
    await site.start()
    other = await site.start(site.configure(http__port=0, batching__quiet_ms=7000))
    await site.wait_for_first("settings_differ", "batching.quiet_ms is 5000 and 7000")
    await site.stop(other)
    await site.wait_until_clean()


async def test_two_daemons_that_do_not_go_together_are_named(site: Site) -> None:
    await site.start()
    rolling = site.configure(http__port=0, batching__order="sent")
    other = await site.start(rolling, is_rolling_out=True)
    await site.wait_for_first("settings_conflict", "batching.order")
    await site.stop(other)
    await site.wait_until_clean()


QUIET = "[batching]\nquiet_ms = 4000\n"


async def test_file_that_was_edited_and_not_reloaded_is_named(site: Site) -> None:
    daemon = await site.start_with_file(QUIET)
    site.shell = site.configure("[batching]\nquiet_ms = 3000\n")
    await site.wait_for_first("settings_edited", "config.toml", "reload")
    await daemon.reload()
    await site.wait_until_clean()


async def test_refused_reload_is_named_with_its_reason(site: Site) -> None:
    daemon = await site.start_with_file(QUIET)
    (site.folder / "config.toml").write_text("[batching]\nquiet_ms = 0\n")
    await daemon.reload()
    await site.wait_for_first("reload_refused", "quiet_ms")
    site.shell = site.configure("[batching]\nquiet_ms = 3000\n")
    await daemon.reload()
    await site.wait_until_clean()


async def test_shell_with_other_settings_than_the_daemon_is_named(site: Site) -> None:
    daemon = await site.start()
    site.shell = site.configure(batching__quiet_ms=7000)
    await site.wait_for_first("settings_unlike", "no file")
    site.shell = site.configure()
    await site.wait_until_clean()
    await site.stop(daemon)


async def test_upgrade_that_was_left_half_way_is_named(site: Site) -> None:
    await site.start()
    [text] = await until(lambda: site.run("HVALS", "rfctl:daemons"))
    own, later_ms = msgspec.json.decode(text, type=DaemonRecord), 60_000
    older = msgspec.structs.replace(
        own, id="old", host="other", pid=7, version="0.1.9", beat_ms=own.beat_ms + later_ms, turned_ms=own.turned_ms + later_ms
    )  # fmt: skip
    site.run("HSET", "rfctl:daemons", "old", msgspec.json.encode(older))
    await site.wait_for_first("versions_differ", "0.1.9 on other pid 7")
    site.run("HDEL", "rfctl:daemons", "old")
    await site.wait_until_clean()


async def test_no_daemon_is_named(site: Site) -> None:
    await site.wait_for_first("processor_missing", "rfctl serve")
    await site.start()
    await site.wait_until_clean()


async def test_webhook_without_a_processor_is_named(site: Site) -> None:
    site.shell = site.configure(daemon__role="webhook")
    await site.start()
    await site.wait_for_first("processor_missing")
    await site.start(site.configure(daemon__role="processor"))
    await site.wait_until_clean()


async def test_sink_that_nobody_serves_is_named(site: Site) -> None:
    site.shell = site.configure(**SINK)
    await site.start(site.configure(**SINK, daemon__role="webhook"))
    await site.start(site.configure(**SINK, daemon__role="processor"))
    await site.wait_for_first("sink_unserved", "sink bot")
    await site.start(site.configure(**SINK, daemon__role="forwarder"))
    await site.wait_until_clean()


async def test_sink_of_another_file_is_named(site: Site) -> None:
    site.shell = site.configure(**SINK)
    await site.start()
    site.shell = site.configure()
    await site.wait_for_first("settings_unlike")
    codes = {line.code for line in (await site.diagnose()).lines}
    assert "sink_foreign" in codes
    site.shell = site.configure(**SINK)
    await site.wait_until_clean()


async def hand_one_over(site: Site, daemon: Daemon) -> None:
    assert await site.post(daemon) == 200
    await until(lambda: site.run("XLEN", "rfctl:out"))


async def test_stream_that_nobody_reads_is_named(site: Site) -> None:
    site.shell = site.configure(**QUICK)
    await hand_one_over(site, await site.start())
    await site.wait_for_first("stream_unread", "1 merged message")
    site.run("XGROUP", "CREATE", "rfctl:out", "bots", "0")
    await read_all(site, "bots")
    await site.wait_until_clean()


async def read_all(site: Site, group: str, *, acknowledge: bool = True) -> str:
    reply = site.run("XREADGROUP", "GROUP", group, "worker-1", "STREAMS", "rfctl:out", ">")
    [[_, [[entry, _]]]] = reply.items() if isinstance(reply, dict) else reply
    if acknowledge:
        site.run("XACK", "rfctl:out", group, entry)
    return str(entry)


async def start_with_group(site: Site) -> Daemon:
    sink = {"sinks__workers__type": "stream", "sinks__workers__group": "bots"}
    site.shell = site.configure(**QUICK, **sink)
    daemon = await site.start()
    await hand_one_over(site, daemon)
    return daemon


async def test_group_without_a_worker_is_named(site: Site) -> None:
    await start_with_group(site)
    await site.wait_for_first("group_unread", "group bots")
    await read_all(site, "bots")
    await site.wait_until_clean()


async def test_entry_that_comes_back_again_and_again_is_named_and_can_be_given_up(site: Site) -> None:
    await start_with_group(site)
    entry = await read_all(site, "bots", acknowledge=False)
    for _ in range(4):
        site.run("XCLAIM", "rfctl:out", "bots", "worker-2", "0", entry)
    line = await site.wait_for_first("entries_redelivered", f"{entry} 5 times")
    site.follow(line.fix)
    await site.wait_until_clean()


async def test_entry_that_a_dead_worker_has_is_named(site: Site) -> None:
    await start_with_group(site)
    entry = await read_all(site, "bots", acknowledge=False)
    site.run("XCLAIM", "rfctl:out", "bots", "worker-1", "0", entry, "IDLE", "900000", "JUSTID")
    line = await site.wait_for_first("entries_unacknowledged", "15 min", "worker-1", "XAUTOCLAIM")
    assert re.search(r"redis-cli XAUTOCLAIM rfctl:out bots CONSUMER 600000 0", line.fix)
    site.run("XAUTOCLAIM", "rfctl:out", "bots", "worker-2", "600000", "0")
    site.run("XACK", "rfctl:out", "bots", entry)
    await site.wait_until_clean()


async def test_group_of_a_sink_that_was_taken_out_is_named(site: Site) -> None:
    site.shell = site.configure(**QUICK)
    await site.start()
    site.run("XGROUP", "CREATE", "rfctl:out", "rfctl:crm", "0", "MKSTREAM")
    site.run("XADD", "rfctl:out", "*", "phone", "7", "text", "x", "count", "1")
    line = await site.wait_for_first("group_orphaned", "rfctl:crm")
    site.follow(line.fix)
    site.run("XTRIM", "rfctl:out", "MAXLEN", "0")
    await site.wait_until_clean()
