"""`rfctl pause SINK` and `rfctl resume SINK`: a sink stands still, and nothing is lost meanwhile."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rfctl.cli.context import Invocation, invocation, run_async
from rfctl.cli.sink_name import check_forwarded
from rfctl.store import Pause
from rfctl.text import counted

Sink = Annotated[str, typer.Argument(help="The sink, by its name in the settings.")]


def pause(
    ctx: typer.Context,
    sink: Sink,
    why: Annotated[str, typer.Option(help="What stats shows as the reason.")] = "an operator paused it",
) -> None:
    """Deliver nothing more to a sink, on every daemon. What comes for it is kept until `rfctl resume`.

    Examples:  rfctl pause crm  |  rfctl pause crm --why "moves to the new host tonight"
    """
    run_async(_pause(invocation(ctx), sink, why))


def resume(ctx: typer.Context, sink: Sink) -> None:
    """Deliver to a paused sink again; what has waited is tried at once.

    Examples:  rfctl resume crm
    """
    run_async(_resume(invocation(ctx), sink))


async def _pause(run: Invocation, sink: str, why: str) -> None:
    async with run.store() as (store, configuration):
        check_forwarded(configuration.settings, sink)
        before = (await store.paused_sinks.list()).get(sink)
        if before is None:
            await store.paused_sinks.pause(sink, why)
        now = before or (await store.paused_sinks.list()).get(sink) or Pause(why)
        said = "paused" if before is None else "was paused already"
        _say(
            run,
            f"{sink} {said}: {now.why}",
            {
                "sink": sink,
                "paused": True,
                "changed": before is None,
                "why": now.why,
                "at": _time(now),
            },
        )


async def _resume(run: Invocation, sink: str) -> None:
    async with run.store() as (store, configuration):
        if (
            sink not in await store.paused_sinks.list()
        ):  # one that is may have been taken out of the settings since
            check_forwarded(configuration.settings, sink)
        changed = await store.paused_sinks.resume(sink)
        phones = sum([await store.deliveries(sink, shard).retry_now() for shard in store.shards])
        said = (
            f"{sink} {'goes on' if changed else 'was not paused'}; "
            f"{counted(phones, 'phone')} held for a later try, due now"
        )
        _say(run, said, {"sink": sink, "paused": False, "changed": changed, "phones_tried_now": phones})


def _say(run: Invocation, text: str, data: dict[str, Any]) -> None:
    from rfctl.cli import output as render

    if run.json:
        run.emit(data)
    else:
        render.console().print(render.safe(text))


def _time(paused: Pause) -> str | None:
    from rfctl.cli.output import rfc3339

    return rfc3339(paused.at_ms) if paused.at_ms else None
