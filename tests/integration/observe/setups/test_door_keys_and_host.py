"""Requests that are rejected, keys of nobody, and a host that stands in the way."""

from __future__ import annotations

import base64
import hmac
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from rfctl.assembly.packaged import read_packaged
from rfctl.daemon.daemon import Daemon
from rfctl.observe.diagnosis import DiagnosisLine
from rfctl.observe.facts import Disk, HostFacts
from tests.integration.observe.setups.site import Site
from tests.support.waiting import until

PHONE = "79001234567"


async def test_source_whose_requests_are_all_refused_is_named(site: Site) -> None:
    daemon = await site.start_with_file(SALON.format(secret="wrong"))
    for _ in range(12):
        assert await send_signed(daemon, "right") == 401
    words = ("requests since the daemon started were rejected (signature 1", "sources.salon.secrets")
    await site.wait_for_first("requests_rejected", "source salon: all 1", *words)
    site.shell = site.configure(SALON.format(secret="right"))
    await daemon.reload()
    await site.wait_until_clean()
    assert await send_signed(daemon, "right") == 200
    await until(partial(says, site, "door", "salon 1 accepted, 0 rejected"))


SALON = """\
[sources.salon]
type = "telegram"
secrets = ["{secret}"]
[sinks.bot]
type = "list"
key = "bot"
"""
_UPDATE = {
    "update_id": 1,
    "message": {
        "message_id": 1,
        "chat": {"id": 7, "type": "private"},
        "from": {"id": 7},
        "date": 1,
        "text": "x",
    },
}


async def send_signed(daemon: Daemon, secret: str) -> int:
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as http:
        token = {"X-Telegram-Bot-Api-Secret-Token": secret}
        return (await http.post("/webhook/salon", json=_UPDATE, headers=token)).status_code


async def says(site: Site, topic: str, words: str) -> bool:
    """Say whether a healthy topic has these words."""
    diagnosis = await site.diagnose()
    return any(words in line.fact for line in diagnosis.lines if line.topic == topic and line.state == "ok")


async def test_twilio_that_calls_another_address_is_named(site: Site) -> None:
    daemon = await site.start_with_file(TWILIO.format(url="https://bot.example.com"))
    for _ in range(10):
        assert await send_form(daemon, daemon.url) == 401
    await site.wait_for_first("requests_rejected", "source sms", "public_url", "a proxy must leave its path")
    called = daemon.url
    site.shell = site.configure(TWILIO.format(url=called))
    await daemon.reload()
    await site.wait_until_clean()
    assert await send_form(daemon, called) == 200
    await until(partial(says, site, "door", "sms 1 accepted, 0 rejected"))


TWILIO = """\
[sources.sms]
type = "twilio"
secrets = ["token"]
public_url = "{url}"
[sinks.bot]
type = "list"
key = "bot"
"""
_FORM = {
    "MessageSid": "SM1",
    "AccountSid": "AC1",
    "From": "whatsapp:+79001234567",
    "To": "whatsapp:+1",
    "Body": "x",
}


async def send_form(daemon: Daemon, called: str) -> int:
    """Post a message as Twilio does that calls this address: it signs the address with the form."""
    text = f"{called}/webhook/sms" + "".join(name + _FORM[name] for name in sorted(_FORM))
    digest = hmac.digest(b"token", text.encode(), "sha1")
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as http:
        signed = {"X-Twilio-Signature": base64.b64encode(digest).decode()}
        return (await http.post("/webhook/sms", data=_FORM, headers=signed)).status_code


async def test_requests_that_a_proxy_brings_to_a_source_without_a_secret_are_named(site: Site) -> None:
    daemon = await site.start_with_file("[sources.generic]\n[sinks.bot]\ntype = 'list'\nkey = 'bot'\n")
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as http:
        for _ in range(10):
            proxied = {"X-Forwarded-For": "1.2.3.4"}
            answer = await http.post("/webhook/generic", json={"from": "7", "message": "x"}, headers=proxied)
            assert answer.status_code == 401
    await site.wait_for_first("requests_rejected", "proxied 10", "set sources.generic.secrets")
    site.shell = site.configure(
        "[sources.generic]\nsecrets = ['s']\n[sinks.bot]\ntype = 'list'\nkey = 'bot'\n"
    )
    await daemon.reload()
    await site.wait_until_clean()


async def test_address_with_a_mistyped_source_is_named_with_the_nearest(site: Site) -> None:
    daemon = await site.start_with_file(SALON.format(secret="right"))
    for _ in range(3):
        assert await site.post(daemon, path="/webhook/salom") == 404
    await site.wait_for_first(
        "path_unknown", "/webhook/salom", "the nearest source is salon", "/webhook/salon,"
    )
    site.shell = site.configure(SALON.format(secret="right").replace("salon", "salom"))
    await daemon.reload()
    await site.wait_until_clean()


async def test_source_that_anybody_may_use_is_named(site: Site) -> None:
    everywhere = "0.0.0.0"
    site.shell = site.configure(http__host=everywhere, sources__generic__insecure="true")
    open_to_all = await site.start()
    line = await site.wait_for_first(
        "source_open", "source generic", f"{everywhere}:{site.port}", "http.host = 127.0.0.1"
    )
    assert line.set_by == "variable RFCTL_SOURCES__GENERIC__INSECURE"
    site.shell = site.configure()
    [line] = await find_lines(site, "source_open")
    assert (line.subject, line.set_by) == ("generic", "")
    await site.stop(open_to_all)
    assert await find_lines(site, "source_open") == []
    site.shell = site.configure(http__host=everywhere, sources__generic__insecure="true")
    assert len(await find_lines(site, "source_open")) == 1  # no daemon lives: what one would serve
    served = await site.start(site.configure())
    await until(partial(is_listening, site))
    assert await find_lines(site, "source_open") == []
    await site.stop(served)
    site.shell = site.configure()
    await site.start()
    await site.wait_until_clean()


async def find_lines(site: Site, code: str) -> list[DiagnosisLine]:
    return [line for line in (await site.diagnose()).lines if line.code == code]


async def is_listening(site: Site) -> bool:
    snapshot = (await site.diagnose()).snapshot
    return snapshot is not None and any(daemon.is_listening for daemon in snapshot.daemons)


async def test_quarantined_request_is_named(site: Site) -> None:
    await site.start()
    site.run("XADD", "rfctl:quarantine", "*", "source", "tg", "why", "new")
    await site.wait_for_first("quarantined_requests", "rfctl quarantine list")
    await site.run_rfctl("quarantine", "drop", "--all", "--yes")
    await site.wait_until_clean()


async def test_left_over_list_is_named_and_can_be_adopted(site: Site) -> None:
    site.shell = site.configure(sinks__bot__type="list", sinks__bot__key="bot")
    await site.start()
    await site.wait_until_clean()
    site.run("RPUSH", f"rapid-fire:{PHONE}", json.dumps({"message": "x", "timestamp": 1}))
    site.run("EXPIRE", f"rapid-fire:{PHONE}", 600)
    await site.wait_for_first("lists_stray", "1 list", "1 of them will expire", "rfctl adopt")
    await site.run_rfctl("adopt", "--watch", "0", "--yes")
    await site.wait_until_clean()
    assert await until(lambda: site.run("LLEN", "bot")) == 1


async def test_entry_of_the_index_without_a_list_is_named(site: Site) -> None:
    site.shell = site.configure(daemon__role="webhook")
    await site.start()
    await site.start(site.configure(daemon__role="processor"))
    await site.wait_until_clean()
    later_ms = 10**13
    site.run("ZADD", "rfctl:due", later_ms, PHONE)
    await site.wait_for_first("entries_stray", PHONE)
    site.run("ZREM", "rfctl:due", PHONE)
    await site.wait_until_clean()


async def test_keys_of_a_sink_of_nobody_are_named_and_can_be_deleted(site: Site) -> None:
    await site.start()
    site.run("HSET", "rfctl:sink:old:tries", "1-0", "[]")
    line = await site.wait_for_first("sink_stray", "sink old")
    site.follow(line.fix.partition("; or ")[2])
    await site.wait_until_clean()


async def test_keys_of_workers_whose_group_is_gone_are_named_and_can_be_deleted(site: Site) -> None:
    await site.start()
    site.run("XADD", "rfctl:worker:the bots:again", "*", "phone", "7900")
    site.run("ZADD", "rfctl:worker:the bots:done", "1", "a", "2", "b")
    line = await site.wait_for_first(
        "group_stray", "2 keys of the workers of group the bots", "1 dead letter sent again", "2 ids"
    )
    site.follow(line.fix.partition("delete all of that: ")[2])
    await site.wait_until_clean()


async def test_variable_that_nobody_uses_is_named(site: Site) -> None:
    await site.start()
    site.variables["REDIS_URL"] = "redis://:secret@elsewhere/0"
    site.shell = site.configure()
    line = await site.wait_for_first("variable_ignored", "REDIS_URL", "RFCTL_REDIS__URL")
    assert "secret" not in line.fact
    site.variables.clear()
    site.shell = site.configure()
    await site.wait_until_clean()


async def test_token_that_may_be_guessed_is_named(site: Site) -> None:
    site.shell = site.configure('[http]\nadmin_token = "geheim"\n')
    daemon = await site.start()
    line = await site.wait_for_first("token_short", "http.admin_token", "openssl rand -hex 24")
    assert line.set_by == f"{site.folder / 'config.toml'}:2"
    assert "geheim" not in str(line)
    site.shell = site.configure('[http]\nadmin_token = "0123456789abcdef"\n')
    await site.stop(daemon)
    await site.start()
    await site.wait_until_clean()


async def test_file_with_secrets_that_all_may_read_is_named(site: Site) -> None:
    text = '[sources.salon]\ntype = "generic"\nsecrets = ["s"]\n'
    site.shell = site.configure(text)
    await site.start()
    file = site.folder / "config.toml"
    file.chmod(0o644)
    line = await site.wait_for_first("secrets_readable", str(file))
    assert line.fix == f"chmod o-r {file}"
    file.chmod(0o640)
    await site.wait_until_clean()


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


HOSTS = {
    "overcommit": ("proc/sys/vm/overcommit_memory", "0\n", "1\n", "overcommit_disabled", "sysctl"),
    "huge pages": (
        "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never", "always [madvise] never",
        "huge_pages_enabled", "echo madvise",
    ),
    "unit": (
        "etc/systemd/system/rfctl.service", "[Service]\nExecStart=/opt/rfctl serve\n", read_packaged("rfctl.service"),
        "unit_differs", "WatchdogSec",
    ),
    "unit of several": (
        "usr/lib/systemd/system/rfctl@.service", "[Service]\nExecStart=/opt/rfctl serve\n", read_packaged("rfctl@.service"),
        "unit_differs", "rfctl export unit --template > ",
    ),
    "socket": (
        "etc/systemd/system/rfctl.socket", "[Socket]\nListenStream=80\n", read_packaged("rfctl.socket"), "unit_differs",
        "systemctl stop rfctl.socket rfctl; systemctl start rfctl.socket rfctl",
    ),
    "open files": (
        "proc/{pid}/limits", "Max open files            256                  4096                 files\n",
        "Max open files            1024                 4096                 files\n", "files_limited", "LimitNOFILE",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTS)
async def test_host_that_stands_in_the_way_is_named(site: Site, name: str) -> None:
    path, wrong, right, code, words = HOSTS[name]
    await site.start()
    await site.wait_until_clean()
    path = path.format(pid=(await site.diagnose()).snapshot.daemons[0].pid)  # type: ignore[union-attr]
    write(site.machine.root, path, wrong)
    await site.wait_for_first(code, words)
    write(site.machine.root, path, right)
    await site.wait_until_clean()


async def test_disk_of_redis_that_is_nearly_full_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.start()
    await site.wait_until_clean()
    with monkeypatch.context() as patched:
        patched.setattr("rfctl.assembly.doctor.read_disk", lambda folder: Disk(folder, 2**20, 2**40))
        await site.wait_for_first("disk_low", "nearly full", site.server.folder.name)
    await site.wait_until_clean()


async def test_check_that_fails_is_named_and_hides_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.start()

    def refuse(*_: Any) -> HostFacts:
        raise OSError(13, "Permission denied")

    monkeypatch.setattr("rfctl.observe.facts.host.Machine.compare_units", refuse)
    await site.wait_for_first("check_unfinished", "this host", "Permission denied")


async def test_check_that_was_not_finished_is_named_and_run_again(site: Site) -> None:
    await site.start()
    await site.wait_until_clean()
    hanging = site.machine.root / "etc/systemd/system/rfctl.service"
    hanging.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(hanging)  # whoever reads it waits for a writer
    try:
        line = await site.wait_for_first("check_unfinished", "this host could not be read: no answer within")
        assert line.fix == "run rfctl doctor again"
    finally:
        await until(partial(let_go, hanging))
    hanging.unlink()
    await site.wait_until_clean()


def let_go(hanging: Path) -> bool:
    """Let whoever reads a pipe read its end; say whether nobody does any more."""
    try:
        os.close(os.open(hanging, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return True
    return False
