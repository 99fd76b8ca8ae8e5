"""What `rfctl simulate` prints when all is over."""

from __future__ import annotations

from rfctl.batching import Timers
from rfctl.cli.context import Invocation
from rfctl.cli.output import merged_as_json
from rfctl.model.stored import Merged
from rfctl.simulation import Verdict, due_ms
from rfctl.text import counted, duration


def print_json(run: Invocation, verdict: Verdict, merged: list[Merged]) -> None:
    """Print the verdict and every batch."""
    run.out.json(
        {
            "ok": not verdict.failures,
            "sent": verdict.sent,
            "received": verdict.received,
            "batches": verdict.batches,
            "worst_late_ms": verdict.worst_late_ms,
            "failures": verdict.failures,
            "merged": [merged_as_json(batch) for batch in merged],
        }
    )


def print_report(
    run: Invocation, verdict: Verdict, merged: list[Merged], timers: Timers, began_ms: int
) -> None:
    """Print a table of the batches, and the verdict in words. `began_ms` is when the first message was sent, Unix ms."""
    headings = ("phone", "messages", "sent, s", "handed over, s", "reason", "late")
    run.out.table(headings, [_row(batch, timers, began_ms) for batch in merged], right=frozenset({1, 3, 5}))
    run.out.text(
        f"{verdict.sent} sent, {verdict.received} handed over in {counted(verdict.batches, 'batch')}, "
        f"worst lateness {duration(verdict.worst_late_ms)}"
    )
    for failure in verdict.failures:
        run.out.text(f"CHECK FAILED: {failure}", "bold red")
    if not verdict.failures:
        run.out.text(f"check passed: quiet {duration(timers.quiet_ms)}, at most {timers.max_size} messages")


def _row(batch: Merged, timers: Timers, began_ms: int) -> tuple[str, ...]:
    arrivals = [(message.receivedAt - began_ms) / 1000 for message in batch.messages]
    span = f"{arrivals[0]:.2f}" if len(arrivals) == 1 else f"{arrivals[0]:.2f} … {arrivals[-1]:.2f}"
    late = duration(max(0, batch.handed_ms - due_ms(batch, timers)))
    return (
        batch.phone,
        str(batch.count),
        span,
        f"{(batch.handed_ms - began_ms) / 1000:.2f}",
        batch.reason,
        late,
    )
