"""Findings about keys that nobody hands over or uses."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.examination import Examination
from rfctl.observe.finding import Finding
from rfctl.observe.sinks import redis_cli
from rfctl.store import StrayGroup
from rfctl.text import counted

_SHOWN = 3


def find_strays(examination: Examination) -> Iterator[Finding]:
    """Find lists that nobody hands over, entries without a list, and keys of sinks and of workers that nobody has."""
    stray = examination.stray
    if stray is None:
        return
    if stray.lists:
        expiring = sum(strays.lives_ms is not None for strays in stray.lists)
        vanishing = f", and {expiring} of them will expire" if expiring else ""
        names = ", ".join(strays.key for strays in stray.lists[:_SHOWN])
        fact = f"{counted(len(stray.lists), 'list')} of messages that nobody hands over{vanishing}: {names}"
        yield Finding(
            "lists_stray", "warning", "", fact, "rfctl adopt --dry-run shows them; rfctl adopt takes them in"
        )
    if stray.entries:
        fact = f"{counted(len(stray.entries), 'entry')} of the index without a list: {', '.join(stray.entries[:_SHOWN])}"
        fix = "a daemon takes them out within an hour; find out who deletes keys of rfctl"
        yield Finding("entries_stray", "warning", "", fact, fix)
    for sink in stray.sinks:
        if not sink.has_group:
            keys = f"{counted(len(sink.keys), 'key')} of sink {sink.name}, which nobody has"
            fix = f"add [sinks.{sink.name}] again; or {redis_cli('DEL', *sink.keys)}"
            yield Finding("sink_stray", "warning", sink.name, keys, fix)
    yield from map(_describe_group, stray.groups)


def _describe_group(group: StrayGroup) -> Finding:
    """Describe what workers have left. Where their consumer group is gone, none of them lives: it would make it again."""
    letters = f"{counted(group.again, 'dead letter')} sent again" if group.again else ""
    ids = f"{counted(group.remembered, 'id')} of handled messages" if group.remembered else ""
    held = " and ".join(filter(None, (letters, ids)))
    fact = f"{counted(len(group.keys), 'key')} of the workers of group {group.name}, which is gone"
    fix = (
        "start its workers, which begin with the oldest message in the stream; "
        f"or delete all of that: {redis_cli('DEL', *group.keys)}"
    )
    return Finding("group_stray", "warning", group.name, f"{fact}: {held}" if held else fact, fix)
