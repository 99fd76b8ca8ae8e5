"""Findings about keys of ours that hold a value of another kind."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rfctl.errors import KeyTakenError
from rfctl.observe.examination import Examination
from rfctl.observe.finding import Finding
from rfctl.store.taken_keys import TakenKey


def find_taken_keys(examination: Examination) -> Iterator[Finding]:
    """Find each key that another program has written."""
    for taken in examination.taken_keys:
        fact, fix = describe_taken(taken), describe_cure(taken)
        if taken.is_for_watchers:
            yield Finding("record_key_taken", "warning", taken.key, fact, fix)
        else:
            yield Finding("key_taken", "error", taken.key, fact, fix)


def describe_taken(taken: TakenKey) -> str:
    """Return the fact about a key."""
    return f"{taken.key} holds a {taken.kind}, and rfctl keeps a {taken.wanted} there"


def describe_cure(taken: TakenKey) -> str:
    """Return what to do about a key: nothing of it is lost."""
    return (
        f"redis-cli RENAME {shlex.quote(taken.key)} {shlex.quote(f'{taken.key}.taken')}; find out who writes it, or set "
        "redis.prefix"
    )


def name_taken(problem: KeyTakenError, taken: tuple[TakenKey, ...]) -> KeyTakenError:
    """Return the error of a command with the keys that made it fail, as far as they are known."""
    if not taken:
        return problem
    fact = "; ".join(map(describe_taken, taken))
    return KeyTakenError(fact, set_by=problem.set_by, next=describe_cure(taken[0]))
