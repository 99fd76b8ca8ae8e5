"""Merges a command's batches as the daemons do: a shell's own separator and order may be others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from rfctl.assembly.store import build_batch_options
from rfctl.cli.context import Invocation
from rfctl.config.settings import Settings
from rfctl.store import BatchOptions, DaemonRecord, Store


async def use_daemon_options(run: Invocation, store: Store, settings: Settings) -> None:
    """Give the scripts the separator and the order of the living daemons.

    If no daemon lives, or if they disagree, a note on stderr says whose are used. Raises RfctlError.
    """
    if note := await take_daemon_options(store, settings):
        run.out.note(note)


async def take_daemon_options(store: Store, settings: Settings) -> str:
    """Do as `use_daemon_options`, and return the note, "" for none. Raises RfctlError."""
    own = build_batch_options(settings)
    daemons = choose_daemons(await store.daemons.list_alive())
    options, note = choose_options(own, daemons)
    store.reconfigure(options)
    return note


def choose_daemons(daemons: list[DaemonRecord]) -> list[DaemonRecord]:
    """Return those that hand batches over; without any, those that take messages in: a full batch leaves there."""
    return [daemon for daemon in daemons if daemon.is_scheduler] or [
        daemon for daemon in daemons if daemon.is_listening
    ]


def choose_options(own: BatchOptions, daemons: list[DaemonRecord]) -> tuple[BatchOptions, str]:
    """Return the options of most of the daemons, at a tie of the youngest, and a note if that needs to be said."""
    if not daemons:
        return own, f"no daemon is alive: the texts are joined by these settings, {_describe(own)}"
    youngest_first = [_options_of(own, daemon) for daemon in reversed(daemons)]
    options, count = Counter(youngest_first).most_common(1)[0]
    if count == len(daemons):
        return options, ""
    names = ", ".join(
        f"{daemon.host} {daemon.pid}" for daemon in daemons if _options_of(own, daemon) == options
    )
    return (
        options,
        f"the daemons have different settings: the texts are joined as by {names}, {_describe(options)}",
    )


def _options_of(own: BatchOptions, daemon: DaemonRecord) -> BatchOptions:
    """Return the options of a daemon; one of an earlier version, without `output`, does not tell its order."""
    order = daemon.order if daemon.output else own.order
    return replace(own, separator=daemon.separator, order=order)


def _describe(options: BatchOptions) -> str:
    return f"with {options.separator!r} between them and in the order of {options.order}"
