"""Facts that the code has as data: who may call what, findings, log events, keys in Redis, and the payload."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from rfctl.ingest.access import ACCESS
from rfctl.model.delivery import Delivery
from rfctl.model.stored import decode_merged
from rfctl.observe.catalogue import CATALOGUE
from rfctl.sinks.payload import Shape, encode_payload
from rfctl.store.keys import DEFAULT_STREAM, CommonKeys, ShardKeys, SinkKeys
from rfctl.store.worker_keys import WorkerKeys
from tests.support.site.markdown import write_code, write_table

_NAMES = Path(__file__).parents[3] / "docs" / "NAMING.md"
_NO_KEY = {"common", "of_batches", "all"}


def write_access() -> str:
    """Return the table of who may call what."""
    return write_table(
        ("request", "where", "who"), ((f"`{request}`", where, who) for request, where, who in ACCESS)
    )


def write_findings() -> str:
    """Return the tables of findings, errors before warnings, each with what to do."""
    return "\n".join(
        f"### `{severity}`\n\n{write_table(('code', 'what is wrong', 'what to do'), _list_findings(severity))}"
        for severity in ("error", "warning")
    )


def _list_findings(severity: str) -> list[tuple[str, str, str]]:
    return [
        (f"`{code}`", meaning.what, meaning.remedy)
        for code, meaning in sorted(CATALOGUE.items())
        if meaning.severity == severity
    ]


def write_log_events() -> str:
    """Return the tables of log events and of their common fields, as docs/NAMING.md has them."""
    section = _NAMES.read_text().partition("## Log events\n")[2]
    tables = re.findall(r"(?m)(?:^\|.*\n)+", section)
    fields, events = (re.sub(r"(?m)^\|[-|]+\|$", _widen, table) for table in tables[:2])
    return f"{events}\nFields that mean the same in every event:\n\n{fields}"


def _widen(rule: re.Match[str]) -> str:
    return "| " + " | ".join(["---"] * (rule[0].count("|") - 1)) + " |"


def write_keys() -> str:
    """Return the tables of keys, from the docstrings of store/keys.py."""
    shard = ShardKeys("", DEFAULT_STREAM)
    parts = {
        "There is one of each in a Redis": [*_list_keys(CommonKeys()), _channel()],
        "There is one of each in a shard": _list_keys(shard),
        "Each sink has these": _list_keys(SinkKeys("rfctl:sink:NAME")),
        "Each group of workers that use `rfctl.worker` has these": _list_keys(
            WorkerKeys("rfctl:worker:GROUP")
        ),
    }
    return "\n".join(
        f"{title}:\n\n" + write_table(("key", "what it is"), rows) for title, rows in parts.items()
    )


def _channel() -> tuple[str, str]:
    name = CommonKeys().events_channel(0).removesuffix("0")
    return f"`{name}DB`", "A channel: `tail` follows it. Each database has its own."


def _list_keys(keys: object) -> Iterator[tuple[str, str]]:
    for name, attribute in vars(type(keys)).items():
        if name in _NO_KEY or not isinstance(attribute, property | cached_property):
            continue
        value = getattr(keys, name)
        if isinstance(value, str) and attribute.__doc__:
            yield f"`{value}{'…' if value.endswith(':') else ''}`", attribute.__doc__


def write_payload(shape: Shape) -> str:
    """Return what a receiver gets in a shape, for a batch of two messages."""
    decoded: dict[str, Any] = msgspec.json.decode(encode_payload(build_delivery(), shape))
    return write_code("json", json.dumps(decoded, ensure_ascii=False, indent=2))


def build_delivery() -> Delivery:
    """Return a merged message of two messages, as it lies in the output stream."""
    first = 1_790_000_000_000
    items = [
        {
            "message": text,
            "companyId": 962302,
            "channel": "salon",
            "platform": "whatsapp",
            "messageId": f"wamid.{number}",
            "type": "text",
            "metadata": {"senderName": "Olga"},
            "timestamp": first + number,
            "receivedAt": first + number,
            "waitMs": 5000,
        }
        for number, text in enumerate(("Hello,", "a haircut please"), 1)
    ]
    fields = {
        "phone": "79001234567",
        "company": "962302",
        "text": "Hello, a haircut please",
        "count": "2",
        "reason": "quiet",
        "first_ms": str(first + 1),
        "last_ms": str(first + 2),
        "oldest_sent_ms": str(first + 1),
        "channel": "salon",
        "platform": "whatsapp",
        "delivery_id": "msg_5f0c9a2e41d7b36a8c20e9f4",
        "messages": json.dumps(items),
    }
    merged = decode_merged(f"{first + 5002}-0", {name: value.encode() for name, value in fields.items()})
    return Delivery(fields["delivery_id"], merged)
