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
from rfctl.observe.worker_groups import MOST_IN_HAND
from rfctl.store.worker_messages import IN_HAND_MS
from rfctl.worker import AsyncWorker, Worker
from rfctl.worker.in_hand import Entry, InHand
from rfctl.worker.merged_message import decode_message, find_message_id
from rfctl.worker.options import WorkerOptionError, WorkerOptions
from rfctl.worker.redis_group import RedisGroup
from rfctl.worker.scripts import Verb, read_script
from rfctl.worker.stream_keys import name_streams

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


def test_doctor_knows_how_much_a_worker_has_in_hand_at_most() -> None:
    assert f"MOST_IN_HAND = 20, 50, {MOST_IN_HAND}\n" in read_script("take").text


def test_rights_of_workers_name_no_key_of_pending_messages(tmp_path: Path) -> None:
    variables = {"RFCTL_REDIS__SHARDS": "3", "RFCTL_REDIS__PREFIX": "a-", "HOME": str(tmp_path)}
    settings = load(Environment(variables)).settings
    line = build_worker_rights(settings, "bot").grant("rfctl-bot")
    keys = [word for word in line.split() if word.startswith("~")]
    assert keys == [
        r"~a-rfctl:{*}:out", r"~a-rfctl:shards", r"~a-rfctl:stream", r"~a-rfctl:{*}:dead", r"~a-rfctl:{*}:worker:bot:*"
    ]  # fmt: skip
    assert line.startswith("ACL SETUSER rfctl-bot reset on >PASSWORD ")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:6379", "redis://host:port/db"),
        ("redis+sentinel://h/mymaster", "Sentinel is not supported"),
        ("redis://:57#Wsecret@h:1/0", "written %23"),
        ("redis://:secret/x@h:1/0", "percent-encode"),
        ("redis://h:secret", "its port is no number"),
        ("redis://h:1/0?decode_responses=true", "decode_responses is not understood"),
    ],
)
@pytest.mark.parametrize("kind", [Worker, AsyncWorker])
def test_url_that_cannot_be_is_refused_before_the_start(kind: Any, url: str, words: str) -> None:
    with pytest.raises(WorkerOptionError, match="url = ") as refusal:
        kind(url, group="bot")
    assert words in refusal.value.next
    assert "secret" not in str(refusal.value) + refusal.value.next


def test_processes_of_one_parent_have_names_of_their_own() -> None:
    """A worker may be made before a fork, and run behind it in each child."""
    options = WorkerOptions(url="redis://127.0.0.1:6379/0", group="bot")
    assert RedisGroup(options).consumer != RedisGroup(options).consumer


@pytest.mark.parametrize(("retry_after_s", "every_s"), [(0.8, 0.2), (30, 7.5), (600, 15), (86_400, 15)])
def test_sign_of_life_is_never_older_than_forget_expects(retry_after_s: float, every_s: float) -> None:
    options = WorkerOptions(url="redis://127.0.0.1:6379/0", group="bot", retry_after_s=retry_after_s)
    assert options.renew_every_s == every_s
    assert every_s * 1000 * 2 < IN_HAND_MS


def test_late_handler_is_named_once_and_one_person_is_one_message() -> None:
    [keys] = name_streams("out", 0, "", "bot")[:1]
    now = 0.0
    in_hand = InHand(5, lambda: now)
    first, second = Entry(keys, b"7900", "1-0", 1, []), Entry(keys, b"7900", "2-0", 1, [])
    in_hand.add(first)
    assert (in_hand.list_persons(keys), in_hand.group_by_stream()) == ([b"7900"], {keys: ["1-0"]})
    now = 5.0
    assert (in_hand.pop_late(), in_hand.pop_late(), in_hand.group_by_stream()) == ([first], [], {})
    in_hand.add(second)
    in_hand.remove(first)
    assert in_hand.group_by_stream() == {keys: ["2-0"]}
    in_hand.remove(second)
    assert in_hand.list_persons(keys) == []
