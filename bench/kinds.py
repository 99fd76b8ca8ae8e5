"""What the kinds of requests cost the daemon, beside the generic one: python -m bench kinds

WhatsApp Cloud with 1 and 10 messages a request, Telegram, Twilio, and fifty messages in a generic request. Beside them is
the script `add`, piped with fifty messages a call. The requests are signed before the run. Each kind takes its turn in
each cycle, on a daemon and a Redis that all of them share.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from bench.contender import Running
from bench.contenders import open_server, serve_rfctl
from bench.cpu import read_cpu_s
from bench.duel import PipedAdd, build_row, find_wrong_answers, read_settled
from bench.errors import BenchError
from bench.load import Load, run_wrk, write_requests
from bench.options import build_parser
from bench.results import Results
from rfctl.sources.twilio.source import sign as sign_form
from rfctl.sources.whatsapp_cloud.source import sign as sign_body
from tests.support.servers import RedisServer

SECRET, PUBLIC_URL = "a_secret_of_the_bench", "https://bot.example.com"
PHONES, TEXT = 10_000, "запишите меня"
WHATSAPP, TELEGRAM, TWILIO = 7_901, 7_902, 7_903
"""How the phones of a kind begin. Two kinds have none in common: a message from another source hands the batch over."""
VARIABLES = {
    "RFCTL_SOURCES__GENERIC__TYPE": "generic",
    "RFCTL_SOURCES__SALON__TYPE": "whatsapp-cloud", "RFCTL_SOURCES__SALON__SECRETS": f'["{SECRET}"]',
    "RFCTL_SOURCES__BOT__TYPE": "telegram", "RFCTL_SOURCES__BOT__SECRETS": f'["{SECRET}"]',
    "RFCTL_SOURCES__SMS__TYPE": "twilio", "RFCTL_SOURCES__SMS__SECRETS": f'["{SECRET}"]',
    "RFCTL_SOURCES__SMS__PUBLIC_URL": PUBLIC_URL,
}  # fmt: skip
MANY = 50
Post = tuple[str, Mapping[str, str], bytes]


def build_phone(begin: int, number: int) -> str:
    """Return a phone, one of many."""
    return f"{begin}{number % PHONES:07d}"


def build_whatsapp(number: int, prefix: str, each: int) -> Post:
    """Return Meta's request with so many messages, signed."""
    numbers = range(number * each, (number + 1) * each)
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550001111", "phone_number_id": "2000"},
        "contacts": [{"profile": {"name": "Анна"}, "wa_id": build_phone(WHATSAPP, place)} for place in numbers],
        "messages": [
            {
                "from": build_phone(WHATSAPP, place), "id": f"wamid.{prefix}{place}", "timestamp": "1790416800",
                "type": "text", "text": {"body": TEXT},
            }
            for place in numbers
        ],
    }  # fmt: skip
    entry = {"id": "1000", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign_body(SECRET, body)}
    return "/webhook/salon", headers, body


def build_telegram(number: int, prefix: str, _each: int) -> Post:
    """Return an update of Telegram's, with the token."""
    user, first = int(build_phone(TELEGRAM, number)), int(prefix, 16) % 10**8
    person = {"id": user, "first_name": "Анна", "username": "anna_example", "language_code": "ru"}
    message = {
        "message_id": first + number, "from": {**person, "is_bot": False}, "chat": {**person, "type": "private"},
        "date": 1790416800, "text": TEXT,
    }  # fmt: skip
    body = json.dumps({"update_id": first + number, "message": message}).encode()
    return (
        "/webhook/bot",
        {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": SECRET},
        body,
    )


def build_twilio(number: int, prefix: str, _each: int) -> Post:
    """Return Twilio's form, signed over its address and fields."""
    sid = f"SM{prefix}{number:016x}"[:34]
    fields = [
        ("ToCountry", "US"), ("SmsMessageSid", sid), ("NumMedia", "0"), ("SmsSid", sid), ("SmsStatus", "received"),
        ("Body", TEXT), ("To", "+14155550100"), ("NumSegments", "1"), ("MessageSid", sid),
        ("AccountSid", "AC00000000000000000000000000000001"), ("From", f"+{build_phone(TWILIO, number)}"),
        ("ApiVersion", "2010-04-01"),
    ]  # fmt: skip
    path = "/webhook/sms"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": sign_form(SECRET, PUBLIC_URL + path, fields),
    }
    return path, headers, urlencode(fields).encode()


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request: messages in each, and what builds it; None for a form that wrk makes itself.

    So many requests a second are prepared at most.
    """

    name: str
    each: int
    build: Callable[[int, str, int], Post] | None = None
    most_a_second: int = 30_000


KINDS = [
    Kind("generic", 1),
    Kind(f"generic, messages:[{MANY}]", MANY),
    Kind("WhatsApp Cloud", 1, build_whatsapp),
    Kind("WhatsApp Cloud, 10 a request", 10, build_whatsapp, 6_000),
    Kind("Telegram", 1, build_telegram),
    Kind("Twilio", 1, build_twilio),
]
NOTE = "Messages a second and µs a message, for each kind of request. The script add, piped, is the limit of Redis."
CONNECTIONS = 64


def send_kind(kind: Kind, url: str, seconds: float, folder: Path) -> Load:
    """Send requests of a kind for some seconds. A load that used up what was prepared counts as wrong."""
    prefix = f"{time.time_ns():x}"[-14:]
    if kind.build is None:
        form = "bulk" if kind.each > 1 else "generic"
        return run_wrk(url, CONNECTIONS, seconds, form=form, prefix=prefix, messages=kind.each)
    file = folder / "requests"
    count = write_requests(file, _build_all(kind, kind.build, prefix, seconds))
    load = run_wrk(url, CONNECTIONS, seconds, form="file", prefix=str(file))
    file.unlink()
    if load.requests + CONNECTIONS > count:
        raise BenchError(f"{kind.name}: {count} requests were prepared, and more would have been sent")
    return load


def _build_all(
    kind: Kind, build: Callable[[int, str, int], Post], prefix: str, seconds: float
) -> Iterator[Post]:
    count = round(kind.most_a_second * max(1.0, seconds)) + CONNECTIONS
    return (build(number, prefix, kind.each) for number in range(count))


def measure_kind(
    kind: Kind, live: Running, server: RedisServer, seconds: float, folder: Path, results: Results
) -> None:
    """Measure a kind once, and keep its row and what was wrong."""
    assert server.process is not None
    assert live.count_stored is not None
    before = read_settled(live.count_stored)
    cpu, redis_cpu = read_cpu_s(live.pids), read_cpu_s([server.process.pid])
    load = send_kind(kind, live.url, seconds, folder)
    cpu, redis_cpu = read_cpu_s(live.pids) - cpu, read_cpu_s([server.process.pid]) - redis_cpu
    stored = read_settled(live.count_stored) - before
    problems = find_wrong_answers(load, stored, CONNECTIONS, kind.each)
    results.problems += [f"{kind.name}: {problem}" for problem in problems]
    row = build_row(kind.name, load, CONNECTIONS, cpu, redis_cpu, kind.each)
    results.add({"kind": kind.name, **{name: value for name, value in row.items() if name != "contender"}})


def run_kinds(options: argparse.Namespace, folder: Path, results: Results) -> None:
    """Measure all kinds in turns."""
    (folder / "home").mkdir()
    with contextlib.ExitStack() as stack:
        limit = stack.enter_context(contextlib.closing(PipedAdd(MANY)))
        server = open_server()
        stack.callback(server.stop)
        live = stack.enter_context(serve_rfctl(folder / "home", server, **VARIABLES))
        run_wrk(live.url, 16, 1, prefix=f"warm-{time.time_ns():x}")
        for _ in range(options.cycles):
            for kind in KINDS:
                measure_kind(kind, live, server, options.seconds, folder, results)
            rate, cpu = limit.measure(options.seconds)
            results.add({"kind": limit.name, "connections": "1", "messages/s": rate, "Redis µs": cpu})


def main() -> int:
    """Measure, print and write. Returns 1 after a wrong answer."""
    options = build_parser("Kinds of requests.", cycles=5, seconds=3).parse_args()
    results = Results("kinds", NOTE)
    with tempfile.TemporaryDirectory(prefix="rfctl-bench-") as folder:
        run_kinds(options, Path(folder), results)
    return results.report(options.out, cycles=options.cycles, seconds=options.seconds)
