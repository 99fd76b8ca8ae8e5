"""`rfctl source try`: reads captured requests by a source's settings, and shows what would come of each."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import typer

from rfctl.assembly.batching import build_rules
from rfctl.assembly.sources import build_sources
from rfctl.batching import Rule
from rfctl.cli.captured import Captured, parse_fields, read_captured
from rfctl.cli.context import Invocation
from rfctl.cli.trial_json import list_effects, trial_as_json
from rfctl.config.loader import Configuration
from rfctl.errors import ANSWER_IS_NO, NothingFoundError, UsageError
from rfctl.ingest.responses import Answer
from rfctl.ingest.trial import Trial, TrialRun, TriedMessage
from rfctl.sources.contract import ServedSource
from rfctl.text import counted, did_you_mean, duration

_MOST_BYTES = 256 * 1024 * 1024
_SHOWN_CHARS = 300
_KINDS: Mapping[str, str] = {
    "own": "somebody on our side wrote it",
    "status": "how far a message of ours has come",
    "event": "it is no message of a person",
    "error": "the provider could not deliver something",
    "unread": "objects to which no path of the map leads",
    "event:no_list": "there is no list at the map's `each`: if all bodies are so, that path is wrong",
}
_HEADINGS = (
    "phone",
    "type",
    "due",
    "text",
    "media",
    "company",
    "account",
    "chat",
    "id",
    "batch key",
    "rules",
)
_BELOW = 8
"""All but the first three columns may be long."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What the operator has of a request: the file with it, the headers beside it, and the path that it came to."""

    file: Path | None
    headers_file: Path | None
    headers: Sequence[str]
    path: str

    def read(self, name: str) -> list[Captured]:
        """Return the requests. Raises UsageError for a file that cannot be read, or has none."""
        lines = [line.encode("latin-1", "replace") for line in self.headers]
        if self.headers_file is not None:
            lines = [*_read_file(self.headers_file).splitlines(), *lines]
        content = _read_stdin() if self.file in (None, Path("-")) else _read_file(self.file)
        return list(read_captured(content, parse_fields(lines), self.path or f"/webhook/{name}"))


def _read_file(path: Path | None) -> bytes:
    assert path is not None  # noqa: S101
    try:
        with path.open("rb") as file:
            return _read_bounded(file)
    except OSError as problem:
        raise UsageError(
            f"{path} cannot be read: {problem.strerror}", next="name a file that is there"
        ) from None


def _read_stdin() -> bytes:
    if sys.stdin.isatty():
        typer.echo("rfctl: paste the body, and end it with Ctrl-D on a line of its own", err=True)
    return _read_bounded(sys.stdin.buffer)


def _read_bounded(file: BinaryIO) -> bytes:
    content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise UsageError(f"it has more than {_MOST_BYTES} bytes", next="try fewer requests at a time")
    return content


def show_trials(run: Invocation, name: str, capture: Capture, preset: str) -> None:
    """Try each captured request, and print what would come of it. Raises Exit with 1 where something is wrong."""
    run.check_output()
    flags = {f"sources.{name}.preset": ("--preset", preset)} if preset else {}
    configuration = run.configuration(flags, notify=True)
    served = _find_source(configuration, name)
    requests = capture.read(name)
    _log_to_stderr()
    settings = configuration.settings
    trials = TrialRun(
        served,
        build_rules(settings),
        settings.batching.placeholder,
        settings.http.max_body_bytes,
        lambda: time.time_ns() // 1_000_000,
    )
    results = [
        (request, trials.try_request(request.head, request.body, with_proof=request.has_head))
        for request in requests
    ]
    is_good = all(trial.is_good for _, trial in results)
    if run.is_json:
        rows = [trial_as_json(request, trial) for request, trial in results]
        run.out.json({"source": name, "type": served.type, "ok": is_good, "requests": rows})
    else:
        _print_all(run, served, results)
    if not is_good:
        raise typer.Exit(ANSWER_IS_NO)


def _find_source(configuration: Configuration, name: str) -> ServedSource:
    sources = build_sources(configuration.settings)
    if name in sources:
        return sources[name]
    near = did_you_mean(name, sources) or f"; there is {', '.join(sorted(sources))}"
    step = f"add [sources.{name}], or try a ready map: rfctl source try {name} --preset NAME"
    raise NothingFoundError(f"there is no source {name} in the settings{near}", next=step)


def _log_to_stderr() -> None:
    """Let a bug of a source be logged beside the answer, and not in it."""
    from rfctl.observe.logging import configure

    configure(level="error", format="text", mask=False)


def _print_all(run: Invocation, served: ServedSource, results: Sequence[tuple[Captured, Trial]]) -> None:
    facts = [("source", f"{served.name} ({served.type})")]
    proofs = [_describe_proof(served, request, trial) for request, trial in results]
    is_same = len(set(proofs)) == 1
    run.out.facts([*facts, ("proof", proofs[0])] if is_same else facts)
    for place, (request, trial) in enumerate(results):
        if len(results) > 1:
            line = f", line {request.line}" if request.line else ""
            run.out.text("")
            run.out.text(f"request {place + 1} of {len(results)}{line}", "bold")
        _print_trial(run, trial, "" if is_same else proofs[place])
    if len(results) > 1:
        run.out.text("")
    run.out.text(_sum_up([trial for _, trial in results]))


def _print_trial(run: Invocation, trial: Trial, proof: str) -> None:
    facts = [("proof", proof)] if proof else []
    facts.append(("answer", _describe_answer(trial.answer)))
    if trial.rejected and not trial.proof_fault:
        facts.append(("rejected", trial.rejected))
    if trial.unknown_accounts:
        unknown = counted(trial.unknown_accounts, "message")
        facts.append(("company", f"{unknown} to accounts that companies does not name"))
    run.out.facts(facts)
    if trial.rejected and (trial.messages or trial.skipped or trial.unparsed):
        run.out.text("what would come of it if it were taken:")
    if trial.messages:
        run.out.table(_HEADINGS, map(_build_row, trial.messages), below=_BELOW)
    if trial.skipped:
        rows = [(kind, str(count), _explain_kind(kind)) for kind, count in sorted(trial.skipped.items())]
        run.out.table(("skipped", "count", "because"), rows, right=frozenset({1}))
    if trial.unparsed:
        parts = [(part.why, _shorten(part.body)) for part in trial.unparsed]
        run.out.table(("unparsed: it goes to quarantine", "body"), parts, below=1)


def _describe_proof(served: ServedSource, request: Captured, trial: Trial) -> str:
    if not served.verified:
        return "none is asked for: the source has no secrets" + (
            "" if served.insecure else ", and serves this machine alone"
        )
    if request.head.method == "GET":
        return "a handshake names the verify token"
    if trial.proof_fault is None:
        return "not tried: give the headers, by -H 'Name: value' or --headers FILE"
    return f"FAILS: {trial.proof_fault}" if trial.proof_fault else "holds"


def _describe_answer(answer: Answer) -> str:
    return f"{answer.status} {_shorten(answer.body)}" if answer.body else f"{answer.status}, no body"


def _shorten(body: bytes) -> str:
    text = body[: 4 * _SHOWN_CHARS].decode(errors="backslashreplace")
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _explain_kind(kind: str) -> str:
    return _KINDS.get(kind) or _KINDS.get(kind.partition(":")[0], "")


def _build_row(tried: TriedMessage) -> tuple[str, ...]:
    message = tried.message
    media = "; ".join(
        " ".join(filter(None, (file.mime, file.name, file.url or file.id))) for file in message.media
    )
    return (
        message.phone,
        message.type,
        _describe_due(tried),
        message.text,
        media,
        "" if message.company is None else str(message.company),
        message.account,
        message.chat,
        message.id,
        "" if tried.batch_key == message.phone else tried.batch_key,
        "; ".join(map(_describe_rule, tried.rules)),
    )


def _describe_due(tried: TriedMessage) -> str:
    due_in_ms = tried.due_in_ms
    if due_in_ms is None:
        return "never: dropped"
    return f"in {duration(due_in_ms)}" if due_in_ms else "at once"


def _describe_rule(rule: Rule) -> str:
    return f"{rule.name} ({', '.join(f'{key} {value}' for key, value in list_effects(rule)) or 'nothing'})"


def _sum_up(trials: Sequence[Trial]) -> str:
    skipped = sum(count for trial in trials for kind, count in trial.skipped.items() if kind != "unread")
    unread = sum(trial.skipped.get("unread", 0) for trial in trials)
    parts = [
        counted(sum(len(trial.messages) for trial in trials), "message"),
        f"{skipped} skipped",
        f"{unread} unread",
        f"{sum(len(trial.unparsed) for trial in trials)} unparsed",
    ]
    if rejected := sum(bool(trial.rejected) for trial in trials):
        parts.append(f"{counted(rejected, 'request')} rejected")
    return f"{', '.join(parts)}. Nothing was stored."
