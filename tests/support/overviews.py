"""Overviews for the tests of screens: a busy house, a quiet one, one with 100,000 batches, and one at a fixed time."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from rfctl.observe.overview import (
    DaemonLine,
    FindingRow,
    Flow,
    LastLine,
    Overview,
    SinkRow,
    Waiting,
    WaitingRow,
    WorkerRow,
)

NOW_MS = 1_800_000_000_000
FAILING = FindingRow(
    "sink_failing", "error", "crm", "sink crm fails: 503", "config.toml:4", "rfctl resume crm retries now"
)
DEAD = FindingRow("dead_letters", "warning", "", "4 dead messages", "", "rfctl dead list")
_INS = (12, 18, 22, 31, 44, 38, 29, 24, 33, 41, 52, 47, 36, 30, 27, 35, 48, 58, 51, 43, 39, 34, 29, 33, 41)
_OUTS = (4, 5, 7, 9, 13, 11, 9, 7, 10, 12, 15, 14, 11, 9, 8, 10, 14, 17, 15, 12, 11, 10, 9, 10, 12)


def make_row(phone: str, text: str, *, due_in_ms: int = 4000, size: int = 1, **more: object) -> WaitingRow:
    """Return a pending batch of a phone, which is also its key unless `more` says otherwise."""
    row = WaitingRow(
        batch_key=phone, phone=phone, chat="", account="", source="salon", size=size, max_size=10, due_in_ms=due_in_ms,
        waited_ms=1000, fraction=max(0.0, min(1.0, 1 - due_in_ms / 5000)), text=text, is_held=False,
    )  # fmt: skip
    return msgspec.structs.replace(row, **more)


def make_waiting(*rows: WaitingRow, beyond: int = 0) -> Waiting:
    """Return these rows, and so many more that have none."""
    messages = sum(row.size for row in rows) + beyond
    oldest_ms = 4100 if rows else None
    held = sum(row.is_held for row in rows)
    overdue = sum(row.due_in_ms < 0 for row in rows)
    return Waiting(len(rows) + beyond, messages, oldest_ms, overdue, held, beyond, rows)


def make_quiet_overview() -> Overview:
    """Return an Overview in which all is well, and nobody waits."""
    now_ms = int(time.time() * 1000)
    flow = Flow(None, None, (), (), None, None, None, None, 0, 0, 0)
    daemon = DaemonLine("prod-1", 812, "0.3.1", "all", "http://127.0.0.1:8080", 240)
    redis = "10.0.0.5:6379/0 · 7.2.4 · AOF everysec · noeviction"
    return Overview(
        now_ms, "ok", "WORKING", "1 daemon (0.3.1)", (daemon,), redis, flow, make_waiting(), (), (), (), ()
    )


def make_busy_overview() -> Overview:
    """Return an Overview with something of everything: all states of a sink, a held batch, findings of both kinds."""
    quiet = make_quiet_overview()
    now_ms = quiet.now_ms
    rows = (
        make_row("79001234567", "Привет, запишите меня на завтра к Анне, пожалуйста", due_in_ms=1400, size=4),
        make_row("5511998765400", "oi, tudo bem?", due_in_ms=4000, source="bot"),
        make_row("4915112345678", "und so sieht es aus [image]", due_in_ms=2600, size=9, account="support", batch_key="4915112345678|support"),
        make_row("972541234512", "שלום, אפשר לקבוע תור ליום ראשון?", due_in_ms=3300, size=2),
        make_row("@a1", "can somebody call me back?", due_in_ms=5_400_000, size=3, is_held=True, source="telegram"),
    )  # fmt: skip
    sinks = (
        SinkRow("bot", "bullmq", "ok", "ok, daemon 812", 12, 1.0, 8, 0, 0, False, None),
        SinkRow("crm", "http", "fail", "503 since 02:10 (41 attempts)", 0, 0.0, 212, 17, 4, False, 80_000),
        SinkRow("audit", "redis", "paused", 'paused for 3 d: "moving"', None, None, None, 912, 0, True, None),
    )
    workers = (WorkerRow("reports", "idle", "nobody has asked for 12 min", 31),)
    findings = (
        FindingRow("requests_rejected", "error", "salon", "source salon: every request since 02:10 was rejected (214): signature", "/etc/rfctl/rfctl.toml:31", "compare sources.salon.secret with the provider's; rfctl source try salon shows a request"),
        FindingRow("sink_failing", "error", "crm", "sink crm: 41 attempts have failed since 02:10, the last with HTTP 503", "", "next retry in 1 min 20 s; rfctl resume crm retries now, rfctl pause crm stops the retries"),
        FindingRow("dead_letters", "warning", "", "dead: 4 messages that a sink did not take", "", "rfctl dead list"),
        FindingRow("settings_differ", "warning", "", "prod-2 runs on an older settings file: batching.quiet_ms is 8 s there, and 5 s on prod-1", "", "systemctl reload rfctl"),
    )  # fmt: skip
    last = (
        LastLine(now_ms - 900, "in", "4 waiting · salon", "79001234567"),
        LastLine(now_ms - 2100, "out", "3 → 1 after 5.0 s (quiet)", "4915112345678"),
        LastLine(now_ms - 2150, "delivered", "bot took it in 8 ms", "4915112345678"),
        LastLine(now_ms - 7000, "dead", "crm: 410 Gone after 1 attempt", "5511998765400"),
        LastLine(now_ms - 15_000, "dropped", "rule spam", "79017654321"),
        LastLine(now_ms - 61_000, "in", "1 waiting · bot", "5511998765400"),
    )
    daemons = (*quiet.daemons, DaemonLine("prod-2", 77, "0.3.1", "all", "http://10.0.0.7:8080", 310))
    return msgspec.structs.replace(
        quiet, state="fail", word="FAILING", daemons_line="2 daemons (0.3.1), other settings", daemons=daemons,
        flow=Flow(41, 12, _INS, _OUTS, 3.4, 5000, 7800, 3, 0, 4, 1), waiting=make_waiting(*rows),
        sinks=sinks, workers=workers, findings=findings, last=last,
    )  # fmt: skip


def make_full_overview(rows: int = 50, batches: int = 100_000) -> Overview:
    """Return an Overview with so many batches, of which the first have a row."""
    first = [make_row(str(79_000_000_000 + n), f"message {n}", due_in_ms=60_000 + n) for n in range(rows)]
    return msgspec.structs.replace(make_busy_overview(), waiting=make_waiting(*first, beyond=batches - rows))


def make_numbered_row(number: int, **parts: Any) -> WaitingRow:
    """Return the pending batch of the person with this number: the greater it is, the later is the batch due."""
    phone = f"790012345{number:02}"
    row = make_row(phone, f"Привет {number}", due_in_ms=1000 * number, size=number)
    return msgspec.structs.replace(row, **{"waited_ms": 4100, "fraction": 0.5, **parts})


def make_sink(name: str, **parts: Any) -> SinkRow:
    """Return a sink that does well."""
    row = SinkRow(name, "http", "ok", "ok, daemon 7", 12, 1.0, 8, 0, 0, is_paused=False, next_try_in_ms=None)
    return msgspec.structs.replace(row, **parts)


def make_overview(waiting: int = 3, **parts: Any) -> Overview:
    """Return an Overview at NOW_MS, with a bit of everything, in which so many people wait."""
    rows = [make_numbered_row(number) for number in range(1, waiting + 1)]
    overview = Overview(
        now_ms=NOW_MS, state="fail", word="FAILING", daemons_line="2 daemons (0.3.1), the same settings", daemons=(),
        redis_line="10.0.0.5:6379/0 · run 31185a87 · AOF · noeviction",
        flow=Flow(41, 12, (1, 5, 9, 3, 0, 12, 40), (1, 2, 3, 4), 3.4, 5000, 7800, 3, 0, 4, 1),
        waiting=make_waiting(*rows),
        sinks=(make_sink("bot"), make_sink("crm", state="fail", words="fails: 503", left=17, next_try_in_ms=80_000)),
        workers=(WorkerRow("hands", "warn", "nobody asked for 12 min 0 s", 31),),
        findings=(FAILING, DEAD),
        last=tuple(LastLine(NOW_MS - place, "out", "3→1 quiet", "79001234567") for place in range(9)),
    )  # fmt: skip
    return msgspec.structs.replace(overview, **parts)
