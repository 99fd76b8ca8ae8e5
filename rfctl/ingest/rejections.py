"""What becomes of a request that is not accepted: it is counted by its reason, with the time of the last, and logged.

A stranger decides how many such requests come, and what is in them. So a reason is logged at once, again when its
problem changes, and else once a minute; the counters have all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from rfctl.errors import BadRequestError, OverloadedError, RfctlError
from rfctl.ingest.responses import RETRY, Answer, make_error_answer
from rfctl.ingest.tally import Tally
from rfctl.ingest.unknown_paths import UnknownPaths
from rfctl.store.counters import Counters

_log = structlog.get_logger("ingest")

Reason = Literal[
    "no-path", "no-source", "no-batch", "method", "content-type", "content-encoding", "body-too-large", "invalid-body",
    "signature", "handshake", "token", "not-local", "proxied", "host", "origin",
    "header-too-large", "invalid-http", "header-timeout", "body-timeout", "answer-timeout", "disconnected",
    "bodies-in-hand", "overload", "connections", "redis", "stopping", "crash",
    "login", "csrf", "read-only", "conflict", "viewers",
]  # fmt: skip
"""Why a request was rejected. The counter is `rejected:<reason>`, or `rejected:<reason>:<source>` where that is known."""
_WINDOW_S = 60.0
_LINES_PER_WINDOW = 5
_DEFERRED = frozenset({"bodies-in-hand", "overload", "connections", "redis", "stopping"})
_QUIET = frozenset(
    {
        "no-path",
        "no-source",
        "no-batch",
        "conflict",
        "method",
        "invalid-body",
        "invalid-http",
        "header-timeout",
        "disconnected",
    }
)
_NEXT: Mapping[str, str] = {
    "body-too-large": "if the sender is yours, raise http.max_body_bytes",
    "header-too-large": "if the sender is yours, raise http.max_header_bytes",
    "bodies-in-hand": "the sender must try again; http.max_inflight_bytes bounds all bodies together",
    "connections": "somebody opens too many; raise the limit of open files (LimitNOFILE) if they are yours",
}


class RejectedError(BadRequestError):
    """A request that is rejected for one of the reasons.

    `next` is for the log, and `headers` are for the answer. Without `in_words` the answer does not say why, and with
    `answer` it says that instead of the fact.
    """

    def __init__(
        self,
        fact: str,
        status: int,
        reason: Reason,
        *,
        source: str = "",
        next: str = "",  # noqa: A002
        headers: Mapping[str, str] | None = None,
        in_words: bool = True,
        answer: str = "",
    ) -> None:
        super().__init__(fact, status)
        self.reason: Reason = reason
        self.source = source
        self.next = next
        self.headers = dict(headers or {})
        self.in_words = in_words
        self.answer = answer or fact

    def build_answer(self) -> Answer:
        """Return what the sender hears."""
        return (
            make_error_answer(self.answer, self.status, self.headers)
            if self.in_words
            else Answer(self.status)
        )


@dataclass(slots=True)
class _Logged:
    """What the log has of one reason in this window."""

    since_s: float
    lines: int = 0
    problem: str | None = None
    suppressed: int = 0


class Rejections:
    """Counts and logs the rejected requests of one daemon. `clock` counts seconds."""

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.monotonic) -> None:
        self._counters = counters
        self._clock = clock
        self._logged: dict[tuple[str, str], _Logged] = {}
        self.tally = Tally(clock)
        """How many requests of each source were accepted and rejected lately."""
        self.unknown_paths = UnknownPaths(clock)
        self.proof_faults: dict[str, str] = {}
        """What was wrong with the proof of the last request of a source that had none."""

    def record(self, reason: Reason, problem: str, *, source: str = "", **fields: Any) -> None:
        """Count a rejected request, and log it unless the log has it. `problem` is one line; `fields` are of the log."""
        self._counters.mark(f"rejected:{reason}:{source}" if source else f"rejected:{reason}")
        self.tally.count(source, reason)
        if reason in ("no-path", "no-source"):
            self.unknown_paths.count(str(fields.get("path", "")))
        if reason == "signature":
            self.proof_faults[source] = problem.removeprefix(f"source {source}: ")
        logged = self._logged.get((reason, source))
        now = self._clock()
        if logged is None or now - logged.since_s >= _WINDOW_S:
            suppressed = logged.suppressed if logged else 0
            logged = self._logged[reason, source] = _Logged(now, suppressed=suppressed)
        if logged.problem == problem or logged.lines >= _LINES_PER_WINDOW:
            logged.suppressed += 1
            return
        if logged.suppressed:
            fields["suppressed"], logged.suppressed = logged.suppressed, 0
        logged.lines, logged.problem = logged.lines + 1, problem
        if source:
            fields["source"] = source
        _write_line(reason, {"reason": reason, "problem": problem, **fields})

    def begin_anew(self) -> None:
        """Forget what was rejected lately: it was by other settings."""
        self.tally.begin_anew()
        self.unknown_paths.forget()
        self.proof_faults.clear()

    def record_missing_body(self, reason: Reason, path: str) -> None:
        """Count a request whose client left, or was cut off, before its body was whole."""
        self.record(reason, "the body did not come", path=path)

    def answer_problem(self, problem: Exception, path: str) -> Answer:
        """Count and log a request that failed, and return its answer. The only place that answers a failure."""
        if isinstance(problem, RejectedError):
            return self._answer_rejected(problem, path)
        if isinstance(problem, BadRequestError):
            return self._answer_rejected(RejectedError(problem.fact, problem.status, "invalid-body"), path)
        if isinstance(problem, RfctlError):
            reason: Reason = "overload" if isinstance(problem, OverloadedError) else "redis"
            self.record(reason, problem.fact, status=503, path=path, next=problem.next)
            fact = "Redis cannot take this now; nothing was acknowledged, send it again"
            return make_error_answer(fact, 503, RETRY)
        self.record("crash", repr(problem), status=500, path=path, exc_info=problem)
        return make_error_answer("a bug in rfctl: see its log", 500)

    def _answer_rejected(self, problem: RejectedError, path: str) -> Answer:
        self.record(
            problem.reason, problem.fact, source=problem.source, status=problem.status, path=path, next=problem.next
        )  # fmt: skip
        return problem.build_answer()


def _write_line(reason: Reason, fields: dict[str, Any]) -> None:
    fields["next"] = fields.get("next") or _NEXT.get(reason)
    if not fields["next"]:
        del fields["next"]
    if reason in _DEFERRED:
        _log.error("request_deferred", **fields)
    elif reason == "signature":
        _log.warning("signature_rejected", **fields)
    elif reason == "handshake":
        _log.warning("handshake_rejected", **fields)
    elif reason == "login":
        _log.warning("login_rejected", **fields)
    elif reason == "crash":
        _log.error("handler_crashed", **fields)
    elif reason in _QUIET:
        _log.info("request_rejected", **fields)
    else:
        _log.warning("request_rejected", **fields)
