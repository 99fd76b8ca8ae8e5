"""What the figures are to reach, and whether they do. The page docs/PERFORMANCE.md begins with it.

A goal is a ratio of what was measured side by side in the same cycles, or a bound for people: a delay, a size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.results import format_number

Contents = Mapping[str, Mapping[str, Any]]
"""The contents of the files of results, by program."""


class Figures:
    """The medians of all programs."""

    def __init__(self, contents: Contents) -> None:
        self._medians: dict[str, Sequence[Mapping[str, Any]]] = {
            name: content["medians"] for name, content in contents.items()
        }

    def find(self, program: str, column: str, *texts: str) -> float:
        """Return the figure of the row that has all of these texts. Raises LookupError for none."""
        for row in self._medians[program]:
            if set(texts) <= set(row.values()):
                return float(row[column])
        raise LookupError(f"{program} has no row of {', '.join(texts)}")


Compute = Callable[[Figures], float]


class Goal(NamedTuple):
    """One thing to reach: what is measured is to be at least, or at most, the bound."""

    work: str
    sign: str
    bound: float
    compute: Compute
    limit: str = ""
    """What stands in the way, as far as it is known."""

    def is_reached_by(self, figure: float) -> bool:
        """Say whether a figure is good enough."""
        return figure >= self.bound if self.sign == "≥" else figure <= self.bound


def _divide_duel(rival: str, connections: str) -> Compute:
    def compute(figures: Figures) -> float:
        ours, theirs = (figures.find("duel", "messages/s", name, connections) for name in ("rfctl", rival))
        return ours / theirs

    return compute


def _divide_cpu(connections: str) -> Compute:
    def compute(figures: Figures) -> float:
        names = ("rfctl", "Express + script")
        ours, theirs = (figures.find("duel", "server µs", name, connections) for name in names)
        return ours / theirs

    return compute


def _divide_piped(figures: Figures) -> float:
    rates = [
        figures.find("duel", "messages/s", *texts) for texts in (("rfctl", "64"), ("add piped, 1 a call",))
    ]
    return rates[0] / rates[1]


def _divide_kind(kind: str, other: str = "generic") -> Compute:
    return lambda figures: (
        figures.find("kinds", "messages/s", kind) / figures.find("kinds", "messages/s", other)
    )


def _divide_p50(figures: Figures) -> float:
    ours, theirs = (figures.find("duel", "p50 ms", name, "1") for name in ("rfctl", "Fastify + script"))
    return ours / theirs


def _read(program: str, column: str, *texts: str) -> Compute:
    return lambda figures: figures.find(program, column, *texts)


def _grow_of(column: str) -> Compute:
    def compute(figures: Figures) -> float:
        many, few = (figures.find("grow", column, pending) for pending in ("1,000,000", "10,000"))
        return many / few

    return compute


def _add_up(*texts: str) -> Compute:
    return lambda figures: figures.find("watch", "own %", *texts) + figures.find("watch", "Redis %", *texts)


def _past_start(command: str) -> Compute:
    def compute(figures: Figures) -> float:
        took, start = (figures.find("grow", f"{name} ms", "1,000,000") for name in (command, "--help"))
        return took - start

    return compute


GOALS = [
    *(
        goal
        for connections in ("64", "256")
        for goal in (
            Goal(f"taking in, {connections} connections: rate ÷ Express + script", "≥", 4, _divide_duel("Express + script", connections), "Redis syncs its file before each answer, for both"),
            Goal(f"taking in, {connections} connections: rate ÷ Fastify + script", "≥", 1.2, _divide_duel("Fastify + script", connections)),
            Goal(f"taking in, {connections} connections: server CPU ÷ Express + script", "≤", 1 / 6, _divide_cpu(connections)),
        )
    ),
    Goal("taking in, 64 connections: rate ÷ `add` piped, 1 a call", "≥", 0.6, _divide_piped),
    Goal("WhatsApp Cloud, signed: messages/s ÷ generic", "≥", 0.9, _divide_kind("WhatsApp Cloud"), "the HMAC, a head that is never the same, and an item three times as long"),
    Goal("WhatsApp Cloud, 10 a request ÷ generic", "≥", 2, _divide_kind("WhatsApp Cloud, 10 a request")),
    Goal("Telegram ÷ generic", "≥", 0.9, _divide_kind("Telegram")),
    Goal("Twilio, signed ÷ generic", "≥", 0.7, _divide_kind("Twilio")),
    Goal("messages:[50] ÷ `add` piped, 50 a call", "≥", 0.85, _divide_kind("generic, messages:[50]", "add piped, 50 a call")),
    Goal("one connection: p50 ÷ Fastify + script", "≤", 1.3, _divide_p50),
    Goal("100,000 batches due at once: rate ÷ bare script", "≥", 0.8, _read("handover", "of bare", "daemon")),
    Goal("lateness of new batches meanwhile: p99 ms", "≤", 100, _read("handover", "late p99 ms", "daemon")),
    Goal("lateness at half load: p50 ms", "≤", 1, _read("late", "late p50 ms")),
    Goal("lateness at half load: p99 ms", "≤", 5, _read("late", "late p99 ms"), "calls of `add` that Redis has begun, a millisecond each, and the sync of its file"),
    Goal("lateness at half load: p99.9 ms", "≤", 15, _read("late", "late p99.9 ms")),
    Goal("delivering over HTTP: merged messages/s", "≥", 2200, _read("forward", "merged messages/s", "HTTP"), "one core, of which a quarter is the client of aiohttp"),
    Goal("delivering to BullMQ: merged messages/s", "≥", 1800, _read("forward", "merged messages/s", "BullMQ")),
    Goal("delivering to a list: merged messages/s", "≥", 4000, _read("forward", "merged messages/s", "list")),
    Goal("delivering to a stream: merged messages/s", "≥", 4000, _read("forward", "merged messages/s", "stream")),
    Goal("a million pending: RSS MB", "≤", 80, _read("grow", "RSS MB", "1,000,000")),
    Goal("a million pending: bytes a batch ÷ bare list and index", "≤", 1.4, _read("grow", "of bare", "1,000,000")),
    Goal("a million pending: `stats` ms", "≤", 1000, _read("grow", "stats ms", "1,000,000")),
    Goal("a million pending: `inspect` ms past start-up", "≤", 300, _past_start("inspect")),
    Goal("a million pending: `flush` ms past start-up", "≤", 300, _past_start("flush")),
    Goal("a million pending ÷ ten thousand: server CPU a message", "≤", 1.15, _grow_of("server µs")),
    Goal("a million pending ÷ ten thousand: Redis CPU a message", "≤", 1.15, _grow_of("Redis µs"), "a second segment of ids is asked"),
    Goal("idle daemon: % of a core", "≤", 0.5, _read("idle", "daemon %")),
    Goal("100,000 pending, `rfctl top`: % of a core, with Redis", "≤", 2, _add_up("look")),
    Goal("100,000 pending, the page in eight browsers: % of a core, with Redis", "≤", 2, _add_up("page, 8 watching")),
]  # fmt: skip


def compare(contents: Contents) -> list[dict[str, Any]]:
    """Return a row for each goal that was measured: what is to be reached, and what is."""
    figures, rows = Figures(contents), []
    for goal in GOALS:
        try:
            figure = goal.compute(figures)
        except LookupError:
            continue
        verdict = "yes" if goal.is_reached_by(figure) else f"no: {goal.limit}".removesuffix(": ")
        rows.append(
            {
                "work": goal.work,
                "goal": f"{goal.sign} {format_number(goal.bound)}",
                "measured": figure,
                "reached": verdict,
            }
        )
    return rows  # fmt: skip
