"""A probe through the running daemon: what each link says, and which link is named when one is broken."""

from __future__ import annotations

import asyncio
import contextlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.doctor import Doctor
from rfctl.observe.diagnosis import DiagnosisLine
from tests.integration.observe.setups.site import QUICK, Site
from tests.support.receivers import Answer, HttpReceiver
from tests.support.servers import pick_port
from tests.support.waiting import until

PASSED = ["door", "store", "hand-over", "acknowledgement"]


@pytest.fixture(autouse=True)
def probe_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take long for what is right."""
    monkeypatch.setattr("rfctl.assembly.doctor._PROBE_S", 60)
    for name in ("STEP_S", "SINK_S"):
        monkeypatch.setattr(f"rfctl.daemon.probe_way.{name}", 20)
    monkeypatch.setattr("rfctl.daemon.probe.STEP_S", 20)


def crm(url: str, **more: Any) -> dict[str, Any]:
    return {
        **QUICK, "sinks__crm__type": "http", "sinks__crm__url": url, "sinks__crm__allow_private": True,
        "sinks__crm__probe": True, "sinks__bot__type": "list", "sinks__bot__key": "bot", **more,
    }  # fmt: skip


async def probe(site: Site) -> list[DiagnosisLine]:
    """Return the lines about a probe."""
    diagnosis = await Doctor(site.shell, site.machine, probes=True).diagnose()
    return [line for line in diagnosis.lines if line.topic == "probe"]


def list_passed(lines: list[DiagnosisLine]) -> list[str]:
    return [line.fact.partition(":")[0].partition(",")[0] for line in lines if line.state == "ok"]


def find_broken(lines: list[DiagnosisLine]) -> DiagnosisLine:
    [line] = [line for line in lines if line.state == "fail"]
    assert line.fix
    return line


_OF_DAEMONS = ("canary:", "sweep", "clock", "lease", "progress", "run")
"""What a daemon writes by itself, at its own times."""


def read_keys(site: Site) -> set[str]:
    """Return every key that a message may leave behind."""
    keys: list[str] = site.run("KEYS", "*")
    return {key for key in keys if "-probe" in key or not any(word in key for word in _OF_DAEMONS)}


@pytest.mark.parametrize("more", [{}, {"redis__prefix": "p:"}, {"redis__shards": 3}])
async def test_message_goes_all_the_way_and_leaves_nothing_behind(site: Site, more: dict[str, Any]) -> None:
    async with HttpReceiver(lambda _: Answer(200)) as receiver:
        site.shell = site.configure(**crm(receiver.url, **more))
        await site.start()
        await site.wait_until_clean()
        before = read_keys(site)
        for _ in range(4):  # each goes beside another shard
            lines = await probe(site)
            assert list_passed(lines) == [*PASSED, "sink crm"]
            assert all(" ms" in line.fact for line in lines)
        taken = [json.loads(request["raw"]) for request in receiver.taken if request["raw"]]
        assert len(taken) == 4
        assert len({payload["messageId"] for payload in taken}) == 4
        for payload in taken:
            assert "rfctl doctor --probe" in payload["message"]
            assert payload["messageId"].startswith("probe-")
            assert (payload["metadata"]["simulated"], payload["metadata"]["channel"]) == (True, "probe")
        assert read_keys(site) == before
        [snapshot] = [(await site.diagnose()).snapshot]
        assert snapshot is not None
        assert snapshot.pending.totals.get("messages_in", 0) == 0


async def test_sink_without_the_setting_gets_nothing(site: Site) -> None:
    site.shell = site.configure(sinks__bot__type="list", sinks__bot__key="bot")
    await site.start()
    await site.wait_until_clean()
    lines = await probe(site)
    assert list_passed(lines) == PASSED
    assert "none has probe = true" in lines[-1].fact
    assert lines[-1].state == "skip"
    assert site.run("EXISTS", "bot") == 0


async def test_sink_that_is_down_is_named(site: Site) -> None:
    async with HttpReceiver(lambda request: Answer(503 if request["raw"] else 200)) as receiver:
        site.shell = site.configure(**crm(receiver.url, sinks__mirror__type="list", sinks__mirror__key="mirror",
                                          sinks__mirror__probe=True))  # fmt: skip
        await site.start()
        lines = await probe(site)
        broken = find_broken(lines)
        assert (broken.code, broken.subject) == ("probe_failed", "sink crm")
        assert "503" in broken.fact
        assert list_passed(lines) == [*PASSED, "sink mirror"]
        assert site.run("LLEN", "mirror") == 1
    assert site.run("EXISTS", "rfctl:sink:crm:waiting", "rfctl:dead") == 0


async def test_sink_that_is_silent_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.daemon.probe_way.SINK_S", 0.05)
    async with open_mute() as port:
        site.shell = site.configure(**crm(f"http://127.0.0.1:{port}/hook"))
        await site.start()
        broken = find_broken(await probe(site))
        assert (broken.subject, "has not answered within 50 ms" in broken.fact) == ("sink crm", True)


@contextlib.asynccontextmanager
async def open_mute() -> Any:
    """Yield the port of a listener that takes connections and says nothing."""
    ends: list[asyncio.StreamWriter] = []
    async with await asyncio.start_server(lambda _, writer: ends.append(writer), "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for end in ends:
            end.transport.abort()


async def test_sink_that_is_paused_is_not_tried(site: Site) -> None:
    site.shell = site.configure(sinks__bot__type="list", sinks__bot__key="bot", sinks__bot__probe=True)
    await site.start()
    await site.run_rfctl("pause", "bot", sinks__bot__type="list", sinks__bot__key="bot")
    lines = await probe(site)
    assert list_passed(lines) == PASSED
    assert [line.fact for line in lines if line.state == "skip"] == [
        "sink bot: not tried, as it is paused (`rfctl resume bot`)"
    ]


RIGHTS = {"store": "rpush", "hand-over": "xadd", "acknowledgement": "xack"}


@pytest.mark.parametrize("link", RIGHTS)
async def test_right_that_is_missing_is_named_at_its_link(site: Site, link: str) -> None:
    await site.start()
    await site.wait_until_clean()
    command = RIGHTS[link]
    site.run("ACL", "SETUSER", "default", f"-{command}")
    try:
        lines = await probe(site)
    finally:
        site.run("ACL", "SETUSER", "default", f"+{command}")
    broken = find_broken(lines)
    assert (broken.code, broken.subject) == ("probe_failed", link), broken
    names = command.upper(), "THIS COMMAND"  # an old Redis does not say which
    assert any(name in broken.fact.upper() for name in names), broken
    assert "rfctl export acl" in broken.fix
    assert list_passed(lines) == PASSED[: PASSED.index(link)]
    await site.wait_until_clean()
    assert list_passed(await probe(site)) == PASSED


async def test_daemon_without_a_processor_is_named_and_one_elsewhere_is_not_a_fault(site: Site) -> None:
    site.shell = site.configure(daemon__role="webhook")
    await site.start()
    broken = find_broken(await probe(site))
    assert (broken.subject, "daemon.role" in broken.fix) == ("hand-over", True)
    await site.start(site.configure(daemon__role="processor"))

    async def is_told() -> bool:
        lines = await probe(site)
        return any(line.state == "skip" and "daemon.monitor" in line.fact for line in lines)

    await until(is_told)


async def test_daemons_of_several_roles_are_asked_for_their_work(site: Site) -> None:
    port = pick_port()
    bot: dict[str, Any] = {"sinks__bot__type": "list", "sinks__bot__key": "bot", "sinks__bot__probe": True}
    site.shell = site.configure(daemon__role="webhook", **bot)
    await site.start()
    await site.start(site.configure(daemon__role="processor", daemon__monitor=f"127.0.0.1:{port}", **bot))
    await site.start(
        site.configure(daemon__role="forwarder", daemon__monitor=f"127.0.0.1:{pick_port()}", **bot)
    )

    async def passes() -> list[DiagnosisLine] | None:
        lines = await probe(site)
        return lines if sorted(list_passed(lines)) == sorted([*PASSED, "sink bot"]) else None

    lines = await until(passes)
    assert all(", pid " in line.fact for line in lines)


async def test_scheduler_that_stands_still_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.start()
    monkeypatch.setattr("rfctl.daemon.probe._LATE_MS", -1)
    broken = find_broken(await probe(site))
    assert (broken.subject, "has made no turn for" in broken.fact) == ("hand-over", True)


async def test_daemon_that_is_away_is_named(site: Site) -> None:
    broken = find_broken(await probe(site))
    assert (broken.code, broken.subject) == ("probe_unanswered", f"127.0.0.1:{site.port}")
    assert "systemctl start rfctl" in broken.fix


async def test_wrong_token_is_named(site: Site) -> None:
    await site.start(site.configure(http__admin_token="a-token-of-the-daemon"))
    site.shell = site.configure(http__admin_token="another-token-of-a-shell")
    broken = find_broken(await probe(site))
    assert (broken.code, "401" in broken.fact, "http.admin_token" in broken.fix) == (
        "probe_unanswered",
        True,
        True,
    )
    site.shell = site.configure(http__admin_token="a-token-of-the-daemon")
    assert list_passed(await probe(site)) == PASSED


async def test_daemon_that_hangs_is_named_within_the_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rfctl.assembly.doctor._PROBE_S", 0.05)
    monkeypatch.setattr("rfctl.assembly.doctor._ALL_S", 0)
    async with open_mute() as port:
        site.shell = site.configure(http__port=port)
        broken = find_broken(await probe(site))
        assert (broken.code, "no answer within 50 ms" in broken.fact) == ("probe_unanswered", True)


async def test_other_program_on_our_port_is_no_daemon(site: Site) -> None:
    async with HttpReceiver(lambda _: Answer(200)) as receiver:
        site.shell = site.configure(http__port=receiver.url.rpartition(":")[2].partition("/")[0])
        broken = find_broken(await probe(site))
        assert "no daemon of this version" in broken.fact


async def test_redis_that_is_away_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rfctl.daemon.probe_way.STEP_S", 0.5)
    await site.start()
    await site.wait_until_clean()
    site.server.kill()
    try:
        lines = await until(partial(probe_failed, site))
        assert find_broken(lines).subject == "store"
    finally:
        site.server.start()


async def probe_failed(site: Site) -> list[DiagnosisLine] | None:
    lines = await probe(site)
    return lines if any(line.code == "probe_failed" for line in lines) else None


PLUGIN = """\
import pathlib

class Shout:
    def __init__(self, config):
        self.file = pathlib.Path(config.options["file"])
    async def open(self): ...
    async def close(self): ...
    async def deliver(self, delivery):
        merged = delivery.merged
        if self.file.exists():
            raise RuntimeError("it was here before")
        self.file.write_text(f"{delivery.id} {merged.simulated} {merged.text}")
"""


async def test_sink_of_another_package_is_probed_and_its_bug_is_named(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "shout-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: shout\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[rfctl.sinks]\nshout = shout_for_a_probe:Shout\n")
    (tmp_path / "shout_for_a_probe.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "shouted"
    site.shell = site.configure(
        f"[sinks.shout]\ntype = 'shout'\nprobe = true\n[sinks.shout.options]\nfile = '{file}'\n"
    )
    await site.start()
    assert list_passed(await probe(site)) == [*PASSED, "sink shout"]
    shouted_id, simulated, text = file.read_text().split(" ", 2)
    assert (shouted_id.startswith("probe-"), simulated, "--probe" in text) == (True, "True", True)
    broken = find_broken(await probe(site))
    assert (broken.subject, "RuntimeError: it was here before" in broken.fact) == ("sink shout", True)
