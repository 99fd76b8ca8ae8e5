"""The log: JSON lines when not on a terminal, phones masked, control characters never let through."""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from rfctl.text import mask_phone, visible

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(*, level: str, format: str, mask: bool, stream: TextIO | None = None) -> None:  # noqa: A002
    """Set up the log of the whole process."""
    stream = stream or sys.stderr
    as_text = format == "text" or (format == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if as_text
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Cleaner(mask=mask),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


class _Cleaner:
    def __init__(self, *, mask: bool) -> None:
        self._mask = mask

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {name: self._clean(name, value) for name, value in event.items()}

    def _clean(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {inner: self._clean(inner, item) for inner, item in value.items()}
        if isinstance(value, list):
            return [self._clean(name, item) for item in value]
        if not isinstance(value, str):
            return value
        return mask_phone(value) if name == "phone" and self._mask else visible(value)
