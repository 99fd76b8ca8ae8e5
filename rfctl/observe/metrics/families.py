"""Every family of metrics that a daemon exposes: its name, type and labels, whose it is, and what it means.

Labels have values of closed sets and names of the settings; never a phone, an id or a text. The tables of
docs/NAMING.md and rfctl(7) are made of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rfctl.model.histogram import Histogram

Kind = Literal["counter", "gauge", "histogram"]
Whose = Literal["daemon", "all"]
"""`daemon`: each process has its own, so they are summed. `all`: it is in Redis, and every daemon says the same."""


@dataclass(frozen=True, slots=True)
class Family:
    """One family. `name` is that of the samples; those of a histogram have their usual endings behind it."""

    name: str
    kind: Kind
    whose: Whose
    about: str
    labels: tuple[str, ...] = ()

    @property
    def help(self) -> str:
        """What a scrape says of it: the meaning, and how several processes are put together."""
        whose = "Of this process." if self.whose == "daemon" else "Of all daemons: take max, never sum."
        return f"{self.about} {whose}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family, with the values of its labels in their order."""

    name: str
    value: float | Histogram
    labels: tuple[str, ...] = ()


_OF_A_DAEMON = (
    ("rfctl_build_info", "gauge", "Always 1; the labels say what runs.", "version", "role", "event_loop"),
    ("rfctl_redis_up", "gauge", "1 if Redis has answered the reads for this scrape, else 0."),
    ("rfctl_daemon_ready", "gauge", "1 if /readyz says ready, else 0."),
    ("rfctl_daemon_turn_age_seconds", "gauge", "Time since the last turn that Redis served."),
    ("rfctl_daemon_requests_total", "counter", "Requests to the webhook, by what became of each.", "source", "outcome"),
    ("rfctl_daemon_invalid_traces_total", "counter", "Requests whose traceparent is not valid, and was not kept."),
    ("rfctl_daemon_messages_total", "counter", "Messages that Redis was asked to store.", "source", "outcome"),
    ("rfctl_daemon_handed_over_batches_total", "counter", "Batches that its scheduler handed over."),
    ("rfctl_daemon_handed_over_messages_total", "counter", "Messages in them."),
    ("rfctl_daemon_overdue_batches_total", "counter", "Batches handed over later than batching.overdue_ms."),
    ("rfctl_daemon_clamped_batches_total", "counter", "Due times that were too far away, and were pulled in."),
    ("rfctl_daemon_set_aside_batches_total", "counter", "Attempts to hand a batch over that set it aside."),
    ("rfctl_daemon_handover_call_seconds", "histogram", "Time that each call of the scheduler to Redis took."),
    ("rfctl_daemon_batch_messages", "histogram", "Messages in each batch that it handed over, also at once."),
    ("rfctl_daemon_batch_wait_seconds", "histogram", "Time that the first message of each of these batches had waited."),
    ("rfctl_daemon_batch_lateness_seconds", "histogram", "Time from when each of them was due until it was handed over."),
    ("rfctl_daemon_message_gap_seconds", "histogram", "Time between each message of a batch and the one before it."),
    ("rfctl_daemon_attempt_seconds", "histogram", "Time that each attempt to deliver took, by what came of it.", "sink", "outcome"),
    ("rfctl_daemon_body_bytes", "gauge", "Bytes of the bodies in hand, which http.max_inflight_bytes bounds."),
    ("rfctl_daemon_sink_bytes", "gauge", "Bytes of messages in memory on their way to a sink.", "sink"),
    ("rfctl_daemon_redis_errors_total", "counter", "Calls to Redis that failed, of any part of it.", "reason"),
    ("rfctl_daemon_lost_log_lines_total", "counter", "Lines of the log that nobody took."),
)  # fmt: skip
_OF_ALL = (
    ("rfctl_messages_total", "counter", "Messages taken in."),
    ("rfctl_duplicate_messages_total", "counter", "Messages that came again, and were not taken twice."),
    ("rfctl_batches_total", "counter", "Batches handed over, by reason.", "reason"),
    ("rfctl_handed_over_messages_total", "counter", "Messages in the batches that were handed over."),
    ("rfctl_merged_messages_total", "counter", "Merged messages written to the output stream."),
    ("rfctl_discarded_messages_total", "counter", "Messages of batches that were thrown away."),
    ("rfctl_overdue_batches_total", "counter", "Batches handed over later than batching.overdue_ms."),
    ("rfctl_missing_batches_total", "counter", "Batches that had vanished when they were due."),
    ("rfctl_dropped_messages_total", "counter", "Messages that a rule dropped.", "rule"),
    ("rfctl_skipped_parts_total", "counter", "Parts of requests that are no message of a person.", "kind"),
    ("rfctl_unparsed_parts_total", "counter", "Parts of requests that went to quarantine."),
    ("rfctl_trimmed_parts_total", "counter", "Parts that were removed from quarantine as too old or too many."),
    ("rfctl_sink_deliveries_total", "counter", "Attempts, by what came of each: failed ones are tried again.", "sink", "outcome"),
    ("rfctl_pending_batches", "gauge", "Batches that wait."),
    ("rfctl_pending_messages", "gauge", "Messages that wait in them."),
    ("rfctl_pending_oldest_age_seconds", "gauge", "Age of the oldest pending message, 0 for none."),
    ("rfctl_pending_overdue_batches", "gauge", "Batches that are due and not handed over yet."),
    ("rfctl_pending_overdue_seconds", "gauge", "Time since the oldest due time, 0 if nothing is overdue."),
    ("rfctl_pending_set_aside_batches", "gauge", "Batches that could not be handed over, and are tried again."),
    ("rfctl_held", "gauge", "Batches that are held: somebody on our side has taken over."),
    ("rfctl_stream_entries", "gauge", "Entries of the output stream that are kept."),
    ("rfctl_dead_messages", "gauge", "Dead letters that wait for an operator."),
    ("rfctl_quarantine_parts", "gauge", "Unparsed parts that wait for an operator."),
    ("rfctl_daemons", "gauge", "Daemons that are alive.", "role"),
    ("rfctl_processor_turn_age_seconds", "gauge", "Time since the last turn of the processor that turned last."),
    ("rfctl_daemons_lost_log_lines", "gauge", "Lines of the log that the living daemons have lost."),
    ("rfctl_worker_groups", "gauge", "Consumer groups of workers that are not rfctl's."),
    ("rfctl_worker_unread_messages", "gauge", "Messages that they have not read; left out where Redis cannot say."),
    ("rfctl_worker_unacknowledged_messages", "gauge", "Messages that they have read and not acknowledged."),
    ("rfctl_worker_again_messages", "gauge", "Dead letters that were sent to them again, and that no worker has taken."),
    ("rfctl_sink_unread_messages", "gauge", "Messages the sink has not read; left out where Redis cannot say.", "sink"),
    ("rfctl_sink_unacknowledged_messages", "gauge", "Messages that are read and not finished.", "sink"),
    ("rfctl_sink_waiting_phones", "gauge", "Phones that wait for a retry.", "sink"),
    ("rfctl_sink_waiting_messages", "gauge", "Messages that wait for a retry, or behind one that does.", "sink"),
    ("rfctl_sink_oldest_age_seconds", "gauge", "Age of the oldest message that is not finished, 0 for none.", "sink"),
    ("rfctl_sink_failing_seconds", "gauge", "Time since the first failure of those that wait, 0 for none.", "sink"),
    ("rfctl_sink_stalled_seconds", "gauge", "Time in which something could be delivered and no attempt ended.", "sink"),
    ("rfctl_sink_paused", "gauge", "1 while somebody has paused it, else 0.", "sink"),
    ("rfctl_sink_unserved_shards", "gauge", "Shards on which no daemon delivers to it.", "sink"),
    ("rfctl_findings", "gauge", "Findings, as rfctl stats lists them.", "code", "severity"),
)  # fmt: skip


def _build(rows: tuple[tuple[str, ...], ...], whose: Whose) -> dict[str, Family]:
    kinds: Mapping[str, Kind] = {"counter": "counter", "gauge": "gauge", "histogram": "histogram"}
    return {
        name: Family(name, kinds[kind], whose, about, tuple(labels)) for name, kind, about, *labels in rows
    }


FAMILIES: Mapping[str, Family] = {**_build(_OF_A_DAEMON, "daemon"), **_build(_OF_ALL, "all")}
"""By name."""
