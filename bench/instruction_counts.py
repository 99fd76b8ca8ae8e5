"""The counts that are kept in the repository, and the rule by which a count may not rise."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

MAX_RISE = 0.05
_HEAD = """\
# Instructions a message or a batch, as `python -m bench instructions --write` counts them.
# base: before the work on speed began. current: now. Both were counted on redis-server 7.0.15 and Python 3.11.
# A commit that makes a count rise by more than 5 % on purpose changes its line here, and says why.

"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A count as it was before the work on speed, and as it is now."""

    base: int
    current: int


def parse_kept(text: str) -> dict[str, Kept]:
    """Return the kept counts by name. Raises ValueError for a file that has another form."""
    try:
        return {
            name: Kept(**{key: int(count) for key, count in row.items()})
            for name, row in tomllib.loads(text).items()
        }
    except (AttributeError, TypeError) as problem:
        raise ValueError(f"a line is not name = {{ base = …, current = … }}: {problem}") from None


def format_counts(kept: Mapping[str, Kept], titles: Mapping[str, str]) -> str:
    """Return the file's text: one line a count."""
    lines = [
        f"{name} = {{ base = {row.base:_}, current = {row.current:_} }}  # {titles.get(name, 'counted no more')}\n"
        for name, row in kept.items()
    ]
    return _HEAD + "".join(lines)


def explain_rises(
    before: Mapping[str, int],
    now: Mapping[str, int],
    kept_before: Mapping[str, Kept],
    kept_now: Mapping[str, Kept],
) -> list[str]:
    """Return a line for each count that has risen by more than 5 % although its kept line is the same in both trees.

    A count that is missing now fails too, unless its kept line is gone. One that is new has nothing to compare with.
    """
    lines = []
    for name, count in before.items():
        is_meant = kept_before.get(name) != kept_now.get(name)
        if name not in now:
            problem = "is not counted any more"
        elif now[name] > count * (1 + MAX_RISE):
            problem = f"has risen from {count:,} to {now[name]:,} instructions, {now[name] / count - 1:.1%}"
        else:
            continue
        if not is_meant:
            lines.append(f"{name} {problem}. If that is meant, change its line in bench/instructions.toml")
    return lines
