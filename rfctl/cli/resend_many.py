"""`rfctl resend --since TIME --sink NAME`: send all that a sink has finished since then once more."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from rfctl.cli.arguments import ask, check_forwarded
from rfctl.cli.context import Invocation
from rfctl.cli.moments import parse_moment
from rfctl.cli.steps import Steps, counting, passing_over
from rfctl.errors import ANSWER_IS_NO, NothingFoundError
from rfctl.model.delivery import build_message_id
from rfctl.store import DeadLetter, Finished, Store
from rfctl.text import counted
from rfctl.timing import format_rfc3339


@dataclass(frozen=True, slots=True)
class Span:
    """What to send again: what `sink` has finished `since` a moment `until` another, as they were written."""

    sink: str
    since: str
    until: str
    is_dry_run: bool
    yes: bool


async def resend_many(run: Invocation, span: Span) -> int:
    """Count what a sink has finished, ask, and send it again. Returns the exit status."""
    async with run.store() as (store, configuration):
        check_forwarded(configuration.settings, span.sink)
        now_ms = await store.now_ms()
        since_ms = parse_moment(span.since, now_ms)
        until_ms = parse_moment(span.until, now_ms, option="--until") if span.until else now_ms
        finished = await store.find_finished(span.sink, since_ms, until_ms)
        count, gone = sum(len(part.entry_ids) for part in finished), sum(part.gone for part in finished)
        when = f"between {format_rfc3339(since_ms)} and {format_rfc3339(until_ms)}"
        if not count and not gone:
            raise NothingFoundError(
                f"{span.sink} has finished no message {when} in {store.address.shown()}",
                set_by=store.address.set_by,
                next="what it has not finished will be delivered anyway: `rfctl stats`",
            )
        steps = Steps("message", "sent again")
        if not span.is_dry_run:
            ask(f"send {counted(count, 'message')} again to {span.sink}, finished {when}", yes=span.yes)
            with counting(run.out, steps):
                await _send_all(run, store, span.sink, finished, steps)
    _report(run, span, (since_ms, until_ms), count, gone, steps)
    return ANSWER_IS_NO if (gone or steps.left) and not span.is_dry_run else 0


async def _send_all(run: Invocation, store: Store, sink: str, finished: list[Finished], steps: Steps) -> None:
    """Send each message again; where it is dead for this sink, its dead letter goes in the same step."""
    dead: defaultdict[str, list[DeadLetter]] = defaultdict(list)
    async for letter in store.dead_letters.iterate(sink):
        dead[letter.message_id].append(letter)
    for part in finished:
        queue = store.deliveries(sink, part.shard)
        for entry_id in part.entry_ids:
            message_id = build_message_id(entry_id, part.shard.number)
            with passing_over(run.out, steps, message_id):
                for _, entry in await store.output.find(message_id):
                    letters = [letter.entry_id for letter in dead[message_id]]
                    if not letters or not await queue.requeue(entry, letters[0]):
                        await queue.requeue(entry)
                    steps.add()


def _report(run: Invocation, span: Span, times: tuple[int, int], count: int, gone: int, steps: Steps) -> None:
    if run.is_json:
        since, until = map(format_rfc3339, times)
        run.out.json(
            {
                "sink": span.sink, "since": since, "until": until, "dry_run": span.is_dry_run,
                "messages": count, "sent": steps.count, "gone": gone,
            }
        )  # fmt: skip
        return
    if span.is_dry_run:
        run.out.text(f"{counted(count, 'message')} would be sent again to {span.sink}")
    else:
        run.out.text(f"{steps.line()} to {span.sink}, each under the id that it always had")
    if gone:
        run.out.text(
            f"{counted(gone, 'message')} cannot be sent again: trimmed from the output stream (output.retention_s)"
        )
