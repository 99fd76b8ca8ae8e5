"""`rfctl pause SINK` and `rfctl resume SINK`: stop and start the deliveries of a sink; nothing is lost meanwhile.

What is heavy is imported when it is used: the completion of sinks loads this module.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from rfctl.cli.completion import complete_sinks
from rfctl.cli.context import Invocation, invocation, run_async

if TYPE_CHECKING:
    from rfctl.config.settings import Settings
    from rfctl.store import Pause, Store

Sink = Annotated[
    str, typer.Argument(help="The sink, by its name in the settings.", autocompletion=complete_sinks)
]


def pause(
    ctx: typer.Context,
    sink: Sink,
    why: Annotated[str, typer.Option(help="What stats shows as the reason.")] = "an operator paused it",
) -> None:
    """Stop deliveries to a sink, on every daemon. Its messages are kept until `rfctl resume`.

    Examples:  rfctl pause crm  |  rfctl pause crm --why "moves to the new host tonight"
    """
    run_async(_pause(invocation(ctx), sink, why))


def resume(ctx: typer.Context, sink: Sink) -> None:
    """Start deliveries to a paused sink again; messages that wait are retried at once.

    Examples:  rfctl resume crm
    """
    run_async(_resume(invocation(ctx), sink))


async def _pause(run: Invocation, sink: str, why: str) -> None:
    from rfctl.timing import format_rfc3339

    async with run.store() as (store, configuration):
        before, now = await pause_sink(store, configuration.settings, sink, why)
    if run.is_json:
        at = format_rfc3339(now.at_ms) if now.at_ms else None
        facts = {"sink": sink, "paused": True, "changed": before is None}
        run.out.json({**facts, "why": now.why, "at": at, "by": now.by})
    else:
        run.out.text(describe_paused(sink, before, now))


async def pause_sink(store: Store, settings: Settings, sink: str, why: str) -> tuple[Pause | None, Pause]:
    """Pause a sink. Returns its pause before (None: it was not paused), and the one of now. Raises RfctlError."""
    from rfctl.cli.arguments import check_forwarded
    from rfctl.store import Pause

    check_forwarded(settings, sink)
    before = (await store.paused_sinks.list()).get(sink)
    if before is None:
        await store.paused_sinks.pause(sink, why, by=_name_operator())
    return before, before or (await store.paused_sinks.list()).get(sink) or Pause(why)


def describe_paused(sink: str, before: Pause | None, now: Pause) -> str:
    """Say that a sink is paused, and why."""
    return f"{sink} {'is paused' if before is None else 'was paused already'}: {now.why}"


def _name_operator() -> str:
    """Return who runs this command, and where."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


async def _resume(run: Invocation, sink: str) -> None:
    async with run.store() as (store, configuration):
        changed, phones = await resume_sink(store, configuration.settings, sink)
    if run.is_json:
        run.out.json({"sink": sink, "paused": False, "changed": changed, "phones_retried_now": phones})
    else:
        run.out.text(describe_resumed(sink, phones, changed=changed))


async def resume_sink(store: Store, settings: Settings, sink: str) -> tuple[bool, int]:
    """Let a sink go on. Returns whether it was paused, and how many phones are retried now. Raises RfctlError."""
    from rfctl.cli.arguments import check_forwarded

    # A paused sink may have been taken out of the settings since.
    if sink not in await store.paused_sinks.list():
        check_forwarded(settings, sink)
    changed = await store.paused_sinks.resume(sink)
    return changed, sum([await store.deliveries(sink, shard).retry_now() for shard in store.shards])


def describe_resumed(sink: str, phones: int, *, changed: bool) -> str:
    """Say that a sink goes on, and how many phones are retried now."""
    from rfctl.text import counted

    state = "goes on" if changed else "was not paused"
    return f"{sink} {state}; {counted(phones, 'phone')} {'is' if phones == 1 else 'are'} retried now"
