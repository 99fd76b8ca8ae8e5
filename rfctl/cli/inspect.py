"""`rfctl inspect PHONE`: one batch, message by message."""

from __future__ import annotations

from typing import Any

import typer

from rfctl.cli.context import invocation, run_async
from rfctl.cli.person import Chat, Phone, batch_name
from rfctl.errors import NothingFoundError
from rfctl.message import Batch
from rfctl.text import duration


def inspect(ctx: typer.Context, phone: Phone, chat: Chat = "") -> None:
    """Show a person's pending messages in order, when they are due and why then.

    Examples:  rfctl inspect 79001234567  |  rfctl inspect "+7 900 123-45-67" -o json
    """
    run_async(_inspect(ctx, batch_name(phone, chat)))


async def _inspect(ctx: typer.Context, name: str) -> None:
    run = invocation(ctx)
    async with run.batches() as (connection, batches, _):
        batch = await batches.peek(name)
        if batch is None:
            raise NothingFoundError(
                f"{name} has no pending messages in {connection.address.shown()}",
                set_by=connection.address.set_by,
                next="`rfctl tail --since 10m` shows what has left",
            )
        why = _why(batch)
        if run.json:
            run.emit(_as_json(batch, why))
        else:
            _show(batch, why)


def _why(batch: Batch) -> str:
    if batch.due_ms is None:
        return "it is in no index: the next message puts it there"
    last = batch.messages[-1]
    if last.receivedAt + last.waitMs <= batch.due_ms:
        return f"{duration(last.waitMs)} of silence after the last message"
    return f"the first message will have waited {duration(batch.due_ms - batch.messages[0].receivedAt)}"


def _as_json(batch: Batch, why: str) -> dict[str, Any]:
    import msgspec

    from rfctl.cli.render import rfc3339

    return {
        "phone": batch.phone,
        "size": len(batch.messages),
        "due": rfc3339(batch.due_ms),
        "due_in_ms": None if batch.due_ms is None else batch.due_ms - batch.now_ms,
        "why": why,
        "messages": [msgspec.Raw(raw) for raw in batch.raw],
    }


def _show(batch: Batch, why: str) -> None:
    from rfctl.cli import render

    due = "not in the index" if batch.due_ms is None else f"in {duration(batch.due_ms - batch.now_ms)}"
    out = render.console()
    first = batch.messages[0]
    where = [("source", first.channel), ("account", first.account), ("chat", first.chat)]
    known = [(label, value) for label, value in where if value]
    out.print(render.facts([("phone", batch.phone), *known, ("due", f"{due}: {why}")]))
    rows = [
        (render.clock(one.receivedAt), str(one.companyId or "-"), one.type, one.messageId, one.text)
        for one in batch.messages
    ]
    out.print(render.table(("received", "company", "type", "id", "message"), rows))
