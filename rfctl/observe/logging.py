"""The log: JSON lines when not on a terminal, phones and passwords masked, control characters never let through.

A log call never raises and never waits: `observe.log_stream` writes the lines. An exception is logged as its frames,
never with the values of their variables: these hold messages and secrets.
"""

from __future__ import annotations

import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import structlog

from rfctl.observe.log_stream import LogStream
from rfctl.text import mask_phone, mask_phones, mask_urls, visible

__all__ = ["configure", "flush", "lost_lines"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_OURS = frozenset({"event", "level", "timestamp"})
_PHONES = frozenset({"phone", "first"})
"""The fields that are a phone whatever it looks like. A batch key begins with # or & if it is no phone."""
_MAX_FRAMES = 50

Write = Callable[[str | bytes], None]
Render = Callable[[Any, str, MutableMapping[str, Any]], str | bytes]
_STDERR = 2
_own_stream: LogStream | None = None


def configure(
    *,
    level: str,
    format: str,  # noqa: A002
    mask: bool,
    stream: TextIO | LogStream | None = None,
) -> None:
    """Set up the log of the whole process, by default on stderr."""
    stream = sys.stderr if stream is None else stream
    is_terminal = not isinstance(stream, LogStream) and stream.isatty()
    as_text = format == "text" or (format == "auto" and is_terminal)
    structlog.configure(
        processors=[structlog.processors.add_log_level, _LineMaker(mask=mask, render=_renderer(as_text=as_text, colors=is_terminal))],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=_LoggerFactory(_stream_of(stream)),
        cache_logger_on_first_use=False,
    )  # fmt: skip


def lost_lines() -> int:
    """Return how many lines of the log this process has lost: its reader was gone, its disk full, or it took nothing."""
    return _own_stream.lost if _own_stream else 0


def flush(within_s: float) -> None:
    """Wait until what was logged is written, but no longer than this: a log that takes nothing holds up no exit."""
    if _own_stream is not None:
        _own_stream.flush(within_s)


def _stream_of(stream: TextIO | LogStream) -> LogStream:
    """Return the writer of this stream. The process's own stderr keeps its writer, and what waits in it, at a reload."""
    global _own_stream  # noqa: PLW0603 - a process has one stderr
    if isinstance(stream, LogStream):
        _own_stream = stream
    elif not _is_stderr_of_process(stream):
        return LogStream(stream)
    elif _own_stream is None:
        _own_stream = LogStream(stream.fileno(), on_recovery=_log_lost_lines)
    return _own_stream


def _is_stderr_of_process(stream: TextIO) -> bool:
    """Say whether the descriptor stays open to the end of the process; a test's stream may not."""
    try:
        return stream.fileno() == _STDERR
    except (OSError, ValueError):
        return False


def _log_lost_lines(lines: int) -> None:
    """Say in the log itself that it has a gap."""
    structlog.get_logger("log").warning(
        "log_lines_lost", lines=lines, why="the reader of the log was gone or too slow, or its disk was full"
    )


class _LoggerFactory:
    """Gives structlog the one writer of all loggers."""

    def __init__(self, stream: LogStream) -> None:
        self._logger = _Logger(stream)

    def __call__(self, *_: Any) -> _Logger:
        return self._logger


class _Logger:
    """Takes finished lines; the level of each is in the line already.

    The journal of systemd takes it from the head of a line too (sd-daemon(3)), so that `journalctl -p err` finds errors.
    """

    def __init__(self, stream: LogStream) -> None:
        self.msg: Write = stream.write
        self.debug: Write = self.msg
        self.info: Write = self.msg
        self.warning: Write = self.msg
        self.error: Write = self.msg
        if _goes_to_journal(stream):
            self.debug, self.info = _prefixing(stream, "<7>"), _prefixing(stream, "<6>")
            self.warning = _prefixing(stream, "<4>")
            self.error = _prefixing(stream, "<3>")
        self.critical = self.error


def _prefixing(stream: LogStream, prefix: str) -> Write:
    def write(line: str | bytes) -> None:
        stream.write(prefix + line if isinstance(line, str) else prefix.encode() + line)

    return write


def _goes_to_journal(stream: LogStream) -> bool:
    """Say whether this is our stderr, and the journal reads it; whoever redirects it gets plain lines."""
    journal = os.environ.get("JOURNAL_STREAM", "")
    if not journal or stream is not _own_stream:
        return False
    try:
        facts = os.fstat(_STDERR)
    except OSError:
        return False
    return journal == f"{facts.st_dev}:{facts.st_ino}"


def _renderer(*, as_text: bool, colors: bool) -> Render:
    if not as_text:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    draw = structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )

    def render(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        frames = event.pop("exception", None)
        line = draw(logger, method, event)
        return "\n    ".join([line, *frames]) if frames else line

    return render


class _LineMaker:
    """Makes a line of an event: without secrets, without what acts on a terminal. It never raises."""

    def __init__(self, *, mask: bool, render: Render) -> None:
        self._mask = mask
        self._render = render

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> str | bytes:
        try:
            return self._render(logger, method, self._clean_event(event))
        except Exception as problem:  # what cannot be shown must not end what logs it
            rest = {"event": visible(str(event.get("event"))), "unshown": type(problem).__name__}
            rest |= {"level": method, "timestamp": _now()}
            return self._render(logger, method, rest)

    def _clean_event(self, event: MutableMapping[str, Any]) -> dict[str, Any]:
        frames = list(_frames_of(event.pop("exc_info", None)))
        phones = [value for name, value in event.items() if name in _PHONES and isinstance(value, str)]
        cleaned = {
            name: value if name in _OURS else self._clean(name, value, phones)
            for name, value in event.items()
        }
        cleaned["event"] = visible(str(cleaned.get("event", "")))
        cleaned["timestamp"] = _now()
        if frames:
            cleaned["exception"] = [self._clean_text(frame, phones) for frame in frames]
        return cleaned

    def _clean(self, name: str, value: Any, phones: list[str]) -> Any:
        if (
            value is None
            or isinstance(value, bool)
            or (isinstance(value, float) and math.isfinite(value))  # others are no JSON
            or (isinstance(value, int) and name not in _PHONES)
        ):
            return value
        if isinstance(value, Mapping):
            return {
                self._clean_text(str(inner), phones): self._clean(str(inner), item, phones)
                for inner, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._clean(name, item, phones) for item in value]
        text = value if isinstance(value, str) else str(value)
        if name in _PHONES and self._mask:
            return visible(text) if _is_batch_hash(text) else mask_phone(text)
        return self._clean_text(text, phones)

    def _clean_text(self, text: str, phones: list[str]) -> str:
        text = mask_urls(text)
        if self._mask:
            for phone in phones:
                if len(phone) > 3 and not _is_batch_hash(phone):
                    text = text.replace(phone, mask_phone(phone))
            text = mask_phones(text)
        return visible(text)


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _is_batch_hash(text: str) -> bool:
    return text[:1] in ("#", "&")


def _frames_of(exc_info: Any) -> Iterator[str]:
    """Yield the lines of an exception and of what led to it, the cause first: `Type: text`, then `file:line function`."""
    problem = _exception_of(exc_info)
    if problem is None:
        return
    chain: list[BaseException] = []
    while problem is not None and problem not in chain:
        chain.append(problem)
        problem = problem.__cause__ or (None if problem.__suppress_context__ else problem.__context__)
    for link in reversed(chain):
        yield f"{type(link).__name__}: {link}"
        for frame in traceback.extract_tb(link.__traceback__)[-_MAX_FRAMES:]:
            path = Path(frame.filename)
            yield f"{'/'.join(path.parts[-3:])}:{frame.lineno} {frame.name}"


def _exception_of(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if len(exc_info) == 3 else None
    return sys.exception() if exc_info else None
