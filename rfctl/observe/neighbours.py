"""Findings about the address: a daemon works, and this shell looks elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rfctl.observe.examination import Examination
from rfctl.observe.facts import Neighbour, Shell, describe_listener
from rfctl.observe.finding import Finding
from rfctl.observe.snapshot import Snapshot


def find_other_address(snapshot: Snapshot | None, examination: Examination) -> Iterator[Finding]:
    """Find daemons on another Redis, where ours is not reached or work is missing there.

    A daemon elsewhere is right as long as this Redis has all that it needs: several rfctl may share a host.
    """
    shell, elsewhere = examination.shell, list_elsewhere(snapshot, examination)
    if shell is None or not elsewhere or (snapshot is not None and not _misses_work(snapshot)):
        return
    here = f"this is {shell.redis}{_with_prefix(shell)}"
    theirs = ", ".join(
        dict.fromkeys(f"a daemon ({neighbour.name}) uses {neighbour.place}" for neighbour in elsewhere)
    )
    set_by = f"{shell.set_by}{f'; hides {shell.overrides}' if shell.overrides else ''}"
    fix = "set redis.url, redis.prefix of both alike (rfctl config explain redis.url); or --redis URL looks at the other"
    yield Finding("daemon_elsewhere", "error", "", f"{here}, but {theirs}", fix, set_by)


def list_elsewhere(snapshot: Snapshot | None, examination: Examination) -> Sequence[Neighbour]:
    """Return the daemons that were found on another Redis than ours; by its address alone, where ours is not reached."""
    shell = examination.shell
    at_listener = describe_listener(examination.listener)
    neighbours = (*examination.neighbours, *at_listener, *examination.elsewhere)
    if shell is None:
        return neighbours
    if snapshot is None:
        ours = (_find_place(shell.redis), shell.prefix)
        return [
            neighbour
            for neighbour in neighbours
            if (_find_place(neighbour.redis), neighbour.prefix or "") != ours
        ]
    run_id, db = snapshot.server.run_id, snapshot.server.db
    return [neighbour for neighbour in neighbours if not neighbour.uses(run_id, db, shell.prefix)]


def find_twins(snapshot: Snapshot, examination: Examination) -> Iterator[Finding]:
    """Find daemons elsewhere that run on the very settings of one here: together they were meant to be one rfctl.

    Messages of one person may then come in at both, and no batch has them all.
    """
    shell = examination.shell
    hashes = {daemon.settings_hash for daemon in snapshot.daemons if daemon.settings_hash}
    for neighbour in list_elsewhere(snapshot, examination):
        if shell is not None and neighbour.settings_hash in hashes and neighbour.prefix == shell.prefix:
            fact = f"a daemon ({neighbour.name}) uses {neighbour.place}, and has the settings of those here"
            fix = "if they are one rfctl, set redis.url alike; if not, give it a redis.prefix or settings of its own"
            yield Finding("daemon_twin", "warning", neighbour.name, fact, fix, shell.set_by)


def _find_place(url: str) -> str:
    """Return the place of a Redis: the same server is no other for another user or password."""
    scheme, slashes, rest = url.partition("://")
    return scheme + slashes + rest.rpartition("@")[2]


def _misses_work(snapshot: Snapshot) -> bool:
    daemons = snapshot.daemons
    return not (
        any(daemon.is_scheduler for daemon in daemons)
        and any(daemon.is_listening for daemon in daemons)
        and not any(sink.unserved_shards for sink in snapshot.sinks)
    )


def _with_prefix(shell: Shell) -> str:
    return f" with the prefix {shell.prefix}" if shell.prefix else ""
