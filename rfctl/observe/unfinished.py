"""Findings about what could not be looked at: Redis, or one of the checks."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.errors import OtherLayoutError
from rfctl.observe.examination import Examination
from rfctl.observe.finding import Finding


def find_unusable_redis(examination: Examination) -> Iterator[Finding]:
    """Find why the Redis of the settings cannot be looked at."""
    problem = examination.problem
    if problem is None:
        return
    set_by = "; ".join(filter(None, (problem.set_by, problem.overrides and f"hides {problem.overrides}")))
    fix = problem.next or "rfctl config show"
    if isinstance(problem, OtherLayoutError):
        yield Finding("layout_differs", "error", "", problem.fact, fix, set_by)
    else:
        yield Finding("redis_unusable", "error", "", problem.fact, fix, set_by)


def find_unfinished_checks(examination: Examination) -> Iterator[Finding]:
    """Find the checks that came to no end, so that nobody takes silence for health."""
    for unfinished in examination.unfinished:
        fact = f"{unfinished.what} could not be read: {unfinished.why}"
        yield Finding("check_unfinished", "warning", unfinished.what, fact, "run rfctl doctor again")
