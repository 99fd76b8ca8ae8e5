"""Findings about pending batches: what could not be handed over, and what another program did to their data."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot
from rfctl.text import counted, duration

_LONG_MS = 3 * 86_400_000
"""Who is held so much longer may have been forgotten."""
_SHOWN_MS = 86_400_000
"""How long something that happened once is shown."""


def find_batch_problems(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what is wrong with pending batches, or was lately."""
    yield from _set_aside(snapshot)
    yield from _changed_by_others(snapshot)
    yield from _unclaimed(snapshot)
    yield from _held_long(snapshot)


def _set_aside(snapshot: Snapshot) -> Iterator[Finding]:
    if not snapshot.aside.count:
        return
    first = snapshot.aside.some[0] if snapshot.aside.some else None
    example = f", the first is {first.batch_key}: {first.why}" if first else ""
    fact = f"{counted(snapshot.aside.count, 'batch')} could not be handed over{example}"
    fix = "it is tried again every 30 s; rfctl inspect shows it, and please report this as a bug"
    yield Finding("batch_set_aside", "error", first.batch_key if first else "", fact, fix)


def _changed_by_others(snapshot: Snapshot) -> Iterator[Finding]:
    sweep, now = snapshot.sweep, snapshot.pending.now_ms
    if sweep.missing_at_ms and now - sweep.missing_at_ms < _SHOWN_MS:
        ago = duration(max(0, now - sweep.missing_at_ms))
        fact = f"{counted(sweep.missing, 'batch')} had vanished when due, the last {ago} ago"
        fix = "another program deletes or renames keys of rfctl: give it another database, or rfctl a redis.prefix"
        yield Finding("batches_missing", "error", "", fact, fix)


def _unclaimed(snapshot: Snapshot) -> Iterator[Finding]:
    sweep = snapshot.sweep
    if not sweep.unclaimed:
        return
    vanishing = f", and {sweep.expiring} of them will expire" if sweep.expiring else ""
    phones = ", ".join(sweep.phones)
    fact = f"{counted(sweep.unclaimed, 'list')} of messages that another program wrote: nobody hands them over{vanishing}"
    fix = f"stop that program, if it still runs; then `rfctl adopt` takes the lists in; keys: {phones}"
    yield Finding("lists_unclaimed", "warning", "", fact, fix)


def _held_long(snapshot: Snapshot) -> Iterator[Finding]:
    held, now = snapshot.held, snapshot.pending.now_ms
    if held.longest_since_ms is None or now - held.longest_since_ms < _LONG_MS:
        return
    fact = f"{held.longest_phone} is held for {duration(now - held.longest_since_ms)}: the bot gets nothing of them"
    fix = f"is somebody still talking to them? `rfctl held` lists all {held.count}, `rfctl release PHONE` ends it"
    yield Finding("hold_forgotten", "warning", held.longest_phone, fact, fix)
