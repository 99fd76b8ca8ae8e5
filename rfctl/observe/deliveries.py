"""Findings about deliveries: nothing comes to an end, or messages vanished before they were delivered."""

from __future__ import annotations

from collections.abc import Iterator

from rfctl.observe.finding import Finding
from rfctl.store import SinkStatus
from rfctl.text import counted, duration

_DAY_MS = 86_400_000


def find_delivery_faults(sink: SinkStatus) -> Iterator[Finding]:
    """Find a sink that stands still, and messages that were missing within a day."""
    name, stalled_ms = sink.sink.name, sink.stalled_ms
    if stalled_ms is not None and sink.paused is None and stalled_ms > sink.sink.patience_ms:
        fact = f"sink {name} stands still: something is left, and no attempt has ended for {duration(stalled_ms)}"
        fix = (
            f"the log of daemon {', '.join(sink.leased_by)} says why; if it does not, start that daemon again"
        )
        yield Finding("sink_stalled", "error", name, fact, fix)
    if sink.missing_ago_ms is not None and sink.missing_ago_ms < _DAY_MS:
        ago = duration(sink.missing_ago_ms)
        fact = f"sink {name}: {counted(sink.missing, 'message')} vanished before delivery, the last {ago} ago"
        fix = "find out who deletes from the output stream (XDEL, XTRIM, MAXLEN): rfctl trims it by itself"
        yield Finding("messages_missing", "error", name, fact, fix)
