"""docs/moving.md, step by step: its settings, forms, signature and commands, as a sender of the Node service uses them."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.recipes import ROOT, Site, list_blocks
from tests.support.servers import RedisServer
from tests.support.waiting import until

PAGE = (ROOT / "docs" / "moving.md").read_text()
[SETTINGS] = list_blocks(PAGE, "toml")
FORM, LIST, JOB = map(json.loads, list_blocks(PAGE, "json"))
PATH, PHONE = "/webhook/whatsapp/batched", FORM["from"]


def name_database(server: RedisServer, number: int) -> str:
    return f"{server.url.rpartition('/')[0]}/{number}"


def build_site(folder: Path, server: RedisServer, number: int) -> tuple[Site, str]:
    """Return a site on a database, and the page's settings with the address of this server."""
    site = Site(folder, server)
    site.variables["RFCTL_REDIS__URL"] = name_database(server, number)
    return site, SETTINGS.replace("redis://127.0.0.1:6379/0", name_database(server, 0))


async def post(
    http: httpx.AsyncClient, body: object, secret: str = "the secret that your sender signs with"
) -> Any:
    """Post as the Node service's senders do, and return the answer."""
    raw, stamp = json.dumps(body, ensure_ascii=False).encode(), str(time.time_ns() // 1_000_000)
    signature = hmac.new(secret.encode(), f"POST:{PATH}:{stamp}:".encode() + raw, hashlib.sha256).hexdigest()
    headers = {"X-Timestamp": stamp, "X-Signature": signature, "Content-Type": "application/json"}
    return await http.post(PATH, content=raw, headers=headers)


def shown_keys(request: str) -> set[str]:
    """Return the keys of the answer that the page shows for a request."""
    [answer] = re.findall(rf"(?m)^\| `{re.escape(request)}` \| `(\{{[^`]*)`", PAGE)
    return set(re.findall(r'"(\w+)"', answer))


def find_keys(value: object) -> set[str]:
    """Return the keys of objects anywhere in JSON."""
    if isinstance(value, list):
        return set().union(*map(find_keys, value))
    return set(value).union(*map(find_keys, value.values())) if isinstance(value, dict) else set()


async def wait_for_job(server: RedisServer, queue: str) -> tuple[str, dict[str, Any]]:
    """Return name and data of the only job in a queue of BullMQ's."""
    with server.client() as client:
        [job] = await until(lambda: client.lrange(f"bull:{queue}:wait", 0, -1))
        name, data = client.hmget(f"bull:{queue}:{job}", "name", "data")
    decoded: dict[str, Any] = json.loads(data)
    assert decoded["messageId"] in job
    return name, decoded


async def test_addresses_answers_and_the_signature_are_as_before(server: RedisServer, tmp_path: Path) -> None:
    site, settings = build_site(tmp_path, server, 1)
    async with site.serving(settings) as http:
        answer = await post(http, FORM)
        assert (answer.status_code, find_keys(answer.json())) == (200, shown_keys(f"POST {PATH}"))
        stats = await http.get(f"{PATH}/stats")
        assert (stats.json()["stats"]["pendingBatches"], find_keys(stats.json())) == (
            1,
            shown_keys(f"GET {PATH}/stats"),
        )
        removed = (await http.delete(f"{PATH}/{PHONE}")).json()
        assert (removed.keys(), removed["removed"]) == (shown_keys(f"DELETE {PATH}/PHONE"), 1)
        assert (await http.delete(f"{PATH}/{PHONE}")).status_code == 404
        wrong = await post(http, FORM, "another secret")
        assert (wrong.status_code, find_keys(wrong.json())) == (401, {"success", "error"})


async def test_job_has_the_shape_that_a_worker_of_the_service_reads(
    server: RedisServer, tmp_path: Path
) -> None:
    site, settings = build_site(tmp_path, server, 1)
    async with site.serving(settings) as http:
        second = {"from": PHONE, "body": "запишите меня", "messageId": "wamid.2"}
        assert (await post(http, FORM)).json()["addedCount"] == 1
        assert (await post(http, {**LIST, "messages": [second]})).json()["addedCount"] == 1
        name, job = await wait_for_job(server, "company-962302-messages")
    assert (name, job.keys()) == ("process-message", JOB.keys())
    assert job["metadata"].keys() >= JOB["metadata"].keys()
    for key in ("from", "message", "companyId", "platform"):
        assert job[key] == JOB[key], key
    assert [job["metadata"][key] for key in ("messageId", "batchSize", "originalMessages")] == ["wamid.2", 2, ["Привет,", "запишите меня"]]  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["timestamp"])


async def test_company_of_a_body_that_names_none_is_asked_for(server: RedisServer, tmp_path: Path) -> None:
    bare = {name: value for name, value in FORM.items() if name != "companyId"}
    site, settings = build_site(tmp_path, server, 1)
    async with site.serving(settings) as http:
        assert (await post(http, bare)).status_code == 200
        assert (await site.run("flush", PHONE)).returncode == 0
        _, job = await wait_for_job(server, "company-962302-messages")
        assert job["companyId"] == 962302
        assert "company_unset" not in (await site.run("doctor", "-o", "json")).stdout
        site.file.write_text(re.sub(r"(?m)^company = .*$", "", settings))
        assert "company_unset" in (await site.run("doctor", "-o", "json")).stdout


async def test_lists_with_an_expiry_are_shown_taken_in_and_delivered(
    server: RedisServer, tmp_path: Path
) -> None:
    """The keys as the service leaves them when it is stopped: a list and a time, which expire."""
    site, settings = build_site(tmp_path, server, 0)
    stamp = time.time_ns() // 1_000_000
    items = [
        json.dumps({"message": text, "companyId": 962302, "metadata": {}, "timestamp": stamp})
        for text in ("Hi,", "you")
    ]
    with server.client() as client:
        client.rpush(f"rapid-fire:{PHONE}", *items)
        client.pexpire(f"rapid-fire:{PHONE}", 600_000)
        client.set(f"last-msg:{PHONE}", stamp, ex=600)
    [line] = [line for block in list_blocks(PAGE, "sh") for line in block.splitlines() if "--dry-run" in line]
    line = line.replace("redis://127.0.0.1:6379/0", name_database(server, 0)) + " --watch 0"
    site.file.write_text(settings)
    shown = await site.run(*line.split()[1:])
    assert (shown.returncode, "1 list would be taken in" in shown.stdout) == (0, True), shown.stderr
    async with site.serving(settings):
        assert (await site.run("adopt", PHONE, "--watch", "0", "--yes")).returncode == 0
        _, job = await wait_for_job(server, "company-none-messages")
    assert (job["message"], job["companyId"]) == ("Hi, you", None)
    assert [original["companyId"] for original in job["metadata"]["originals"]] == [962302, 962302]


async def test_list_is_thrown_away_and_no_time_is_made_up_for_it(server: RedisServer, tmp_path: Path) -> None:
    """The service does not write when rfctl received a message."""
    site, settings = build_site(tmp_path, server, 0)
    site.file.write_text(settings)
    with server.client() as client:
        client.rpush(f"rapid-fire:{PHONE}", json.dumps({"message": "Hi", "timestamp": 1_700_000_000_000}))
    assert (await site.run("adopt", PHONE, "--watch", "0", "--yes")).returncode == 0
    shown = await site.run("inspect", PHONE)
    assert "another program wrote it, and it was taken in" in shown.stdout
    thrown_away = await site.run("discard", PHONE)
    assert [line.split() for line in thrown_away.stdout.splitlines()] == [
        ["received", "id", "discarded"],
        ["-", "Hi"],
    ]
    assert "00:00" not in shown.stdout
