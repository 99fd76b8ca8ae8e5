"""What a screen shows of one moment: the page, `rfctl top`, or a program of somebody's. Plain data, ready for JSON.

All times are ms, all moments Unix ms by the clock of Redis. None stands for what nobody knows, never for 0.
Phones are whole: whoever shows them masks them (`rfctl.text.show_phone`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from rfctl.observe.finding import Code, Severity
from rfctl.observe.words import State
from rfctl.store import Pause

LastKind = Literal["in", "out", "delivered", "dead", "missing", "dropped"]
"""What happened last: a message came in, a batch was handed over, or its way to a sink ended."""


class DaemonLine(msgspec.Struct, frozen=True):
    """One living daemon. `listener` is its URL, or ""."""

    host: str
    pid: int
    version: str
    role: str
    listener: str
    turned_ago_ms: int


class Flow(msgspec.Struct, frozen=True):
    """What goes through. `ins` and `outs` are counts of whole minutes, oldest first; they may be empty.

    `in_per_min` counts messages and `out_per_min` merged messages of the last minute. `ratio` is how many messages make a
    merged one. The waits (of the first message of a batch) and the lateness are of the last minutes, and upper bounds.
    `missing` counts what vanished within a day; `dead` and `quarantine` what waits for an operator.
    """

    in_per_min: int | None
    out_per_min: int | None
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    ratio: float | None
    wait_p50_ms: int | None
    wait_p95_ms: int | None
    late_p99_ms: int | None
    missing: int
    dead: int
    quarantine: int


class WaitingRow(msgspec.Struct, frozen=True):
    """One pending batch. `batch_key` names it in actions.

    `chat`, `account`, `source` and `text` are "" where nobody knows them. `text` is how the first message begins, on one line and fit for a
    terminal. `max_size` is None where nobody knows it: a rule may set it for the next message. `due_in_ms` is below 0 for one that
    is overdue. `waited_ms` is since its first message. `fraction` (0 to 1) is how much of the present wait has passed.
    """

    batch_key: str
    phone: str
    chat: str
    account: str
    source: str
    size: int
    max_size: int | None
    due_in_ms: int
    waited_ms: int | None
    fraction: float
    text: str
    is_held: bool


class Waiting(msgspec.Struct, frozen=True):
    """Who waits: all of them in numbers, and a row for each of the first that are due; `beyond` have no row."""

    batches: int
    messages: int
    oldest_ms: int | None
    overdue: int
    held: int
    beyond: int
    rows: tuple[WaitingRow, ...]


class SinkRow(msgspec.Struct, frozen=True):
    """One sink. `ok_share` (0 to 1) and `p95_ms` are of the attempts of the last minutes; `left` is what it has not finished.

    `dead` counts its dead letters that wait for an operator: among thousands of them it is at most so many.
    `pause` says why it is paused. `is_forwarded` is false where the reader is no part of rfctl.
    """

    name: str
    type: str
    state: State
    words: str
    per_min: int | None
    ok_share: float | None
    p95_ms: int | None
    left: int | None
    dead: int
    is_paused: bool
    next_try_in_ms: int | None
    is_forwarded: bool = True
    pause: Pause | None = None


class WorkerRow(msgspec.Struct, frozen=True):
    """One consumer group that workers of somebody's read. `left` is what they have not acknowledged."""

    group: str
    state: State
    words: str
    left: int | None


class FindingRow(msgspec.Struct, frozen=True):
    """One finding, by rank. `set_by` is who set what is wrong, or ""."""

    code: Code
    severity: Severity
    subject: str
    fact: str
    set_by: str
    fix: str


class LastLine(msgspec.Struct, frozen=True):
    """One thing that happened. `line` says what, without the phone; `phone` is "" where nobody knows it."""

    at_ms: int
    kind: LastKind
    line: str
    phone: str = ""


class Overview(msgspec.Struct, frozen=True):
    """One moment of rfctl. `word` says whether it is working; `findings` are by rank, `last` has the newest first."""

    now_ms: int
    state: State
    word: str
    daemons_line: str
    daemons: tuple[DaemonLine, ...]
    redis_line: str
    flow: Flow
    waiting: Waiting
    sinks: tuple[SinkRow, ...]
    workers: tuple[WorkerRow, ...]
    findings: tuple[FindingRow, ...]
    last: tuple[LastLine, ...]
