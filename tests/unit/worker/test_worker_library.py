"""What the library for workers imports, refuses, and makes of an entry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.rights import build_worker_rights
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.worker import AsyncWorker, Worker
from rfctl.worker.merged_message import decode_message, find_message_id
from rfctl.worker.options import WorkerOptionError
from rfctl.worker.scripts import Verb, read_script

HEAVY = {
    "pydantic", "structlog", "typer", "rich", "starlette", "uvicorn", "aiohttp", "tomli_w", "jwt", "prometheus_client",
    "re2", "uvloop", "rfctl.store", "rfctl.config", "rfctl.section",
}  # fmt: skip


def test_import_brings_redis_and_msgspec_alone() -> None:
    code = "import sys, rfctl.worker; print(*sys.modules)"
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=60, check=True
    )
    modules = set(done.stdout.split())
    assert {"rfctl.worker", "redis", "msgspec"} <= modules
    assert modules & HEAVY == set()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"group": ""}, "group = '' is not possible"),
        ({"group": "rfctl:crm"}, "group = 'rfctl:crm'"),
        ({"group": "bot:again"}, "group = 'bot:again'"),
        ({"group": "bot", "retry_after_s": 0.1}, "retry_after_s = 0.1"),
        ({"group": "bot", "max_attempts": 0}, "max_attempts = 0"),
        ({"group": "bot", "timeout_s": 0}, "timeout_s = 0"),
        ({"group": "bot", "remember_s": -1}, "remember_s = -1"),
    ],
)
@pytest.mark.parametrize("kind", [Worker, AsyncWorker])
def test_option_that_cannot_be_is_refused_in_words(kind: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(WorkerOptionError, match=words) as refusal:
        kind("redis://127.0.0.1:6379/0", **options)
    assert refusal.value.next
    assert isinstance(refusal.value, ValueError)


def test_concurrency_is_checked_and_embedded_needs_the_url() -> None:
    with pytest.raises(WorkerOptionError, match="concurrency = 0"):
        AsyncWorker("redis://127.0.0.1:6379/0", group="bot", concurrency=0)
    with pytest.raises(WorkerOptionError, match="url = 'embedded'") as refusal:
        Worker("embedded", group="bot")
    assert "store.url" in refusal.value.next


def test_message_without_a_delivery_id_is_known_by_its_entry() -> None:
    fields = [
        b"phone",
        b"7900",
        b"text",
        b"a",
        b"messages",
        b'[{"message":"a","metadata":[1],"timestamp":"x"}]',
    ]
    message = decode_message("5-0", 2, fields)
    assert (message.id, message.entry_id, message.attempt, message.batch_key) == ("5-0", "5-0", 2, "7900")
    assert (message.metadata, message.messages[0].sent_ms) == ({}, None)
    assert find_message_id("5-0", [*fields, b"delivery_id", b"d"]) == "d"


def test_message_of_many_fields_is_read_back() -> None:
    item = (
        b'{"message":"a","companyId":7,"channel":"bot","messageId":"m","type":"image",'
        b'"media":[{"url":"u"}],"refers":"r","metadata":{"n":1},"timestamp":5,"receivedAt":6,"waitMs":7}'
    )
    names = {
        "phone": "7900", "company": "7", "text": "a", "channel": "bot", "platform": "whatsapp", "account": "1", "chat": "g",
        "reason": "quiet", "simulated": "1", "first_ms": "3", "last_ms": "4", "batch_key": "&k", "delivery_id": "d",
        "messages": f"[{item.decode()}]", "traceparents": '["00-1-2-01"]',
    }  # fmt: skip
    message = decode_message("5-0", 1, [part.encode() for pair in names.items() for part in pair])
    assert (message.company, message.source, message.platform, message.account) == (7, "bot", "whatsapp", "1")
    assert (message.chat, message.reason, message.simulated, message.batch_key) == ("g", "quiet", True, "&k")
    assert (message.first_ms, message.last_ms, message.ids, message.metadata) == (3, 4, ("m",), {"n": 1})
    [original] = message.messages
    assert (original.type, original.media[0].url, original.refers) == ("image", "u", "r")
    assert (original.sent_ms, original.received_ms) == (5, 6)


@pytest.mark.parametrize("verb", ["take", "finish", "renew", "leave"])
def test_script_for_older_servers_has_a_write_in_the_place_of_the_first_line(verb: Verb) -> None:
    script = read_script(verb)
    flags, _, rest = script.text.partition("\n")
    assert flags == "#!lua flags=allow-oom"
    assert script.without_shebang().text == "redis.call('XDEL', KEYS[1], '0-0')\n" + rest
    assert script.sha != script.without_shebang().sha


def test_rights_of_workers_name_no_key_of_pending_messages(tmp_path: Path) -> None:
    variables = {"RFCTL_REDIS__SHARDS": "3", "RFCTL_REDIS__PREFIX": "a-", "HOME": str(tmp_path)}
    settings = load(Environment(variables)).settings
    line = build_worker_rights(settings, "bot").grant("rfctl-bot")
    keys = [word for word in line.split() if word.startswith("~")]
    assert keys == [
        r"~a-rfctl:{*}:out", r"~a-rfctl:shards", r"~a-rfctl:stream", r"~a-rfctl:{*}:dead", r"~a-rfctl:{*}:worker:bot:*"
    ]  # fmt: skip
    assert line.startswith("ACL SETUSER rfctl-bot reset on >PASSWORD ")
