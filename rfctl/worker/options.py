"""How a worker works, checked when it is made, and what a handler may raise."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass

from rfctl.errors import RfctlError
from rfctl.model.redis_url import parse_redis_url
from rfctl.text import mask_url

_RENEW_EVERY_S = 15.0
"""`rfctl forget` takes a message for one that nobody has in hand a minute after the last sign of life."""


class GiveUpError(Exception):
    """A handler raises it when another attempt cannot help: the message becomes a dead letter at once."""


class LeftError(Exception):
    """A handler was broken off, and the worker ends: its message stays, and comes again."""


class WorkerOptionError(RfctlError, ValueError):
    """An option of a worker has a value that it cannot have."""


def build_consumer_name() -> str:
    """Return a name that no other worker has: host, process and six random digits."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The options of a worker; `AsyncWorker` says what each means. Raises WorkerOptionError."""

    url: str
    group: str
    retry_after_s: float = 30.0
    max_attempts: int = 5
    timeout_s: float = 600.0
    remember_s: float = 86_400.0
    concurrency: int = 1
    prefix: str = ""
    can_cancel: bool = True
    """Whether a handler can be cancelled when its time is over."""

    def __post_init__(self) -> None:
        is_ours = self.group.startswith("rfctl:") or self.group.endswith(":again")
        if not self.group or is_ours or len(self.group) > 64:
            form = "1 to 64 characters that neither begin with rfctl: nor end with :again"
            raise _explain("group", self.group, form)
        if self.url == "embedded":
            raise _explain(
                "url",
                self.url,
                "it is a URL: the daemon's log has that of its embedded server, and so has store.url",
            )
        try:
            parse_redis_url(self.url)
        except ValueError as problem:
            raise _explain("url", mask_url(self.url), str(problem)) from None
        for name, least in (("retry_after_s", 0.5), ("timeout_s", 0.1), ("remember_s", 0)):
            if not least <= getattr(self, name) <= 31_536_000:
                raise _explain(name, getattr(self, name), f"{least} to a year, in seconds")
        for name, limit in (("max_attempts", 1_000), ("concurrency", 1_000)):
            if not 1 <= getattr(self, name) <= limit:
                raise _explain(name, getattr(self, name), f"1 to {limit}")

    @property
    def retry_after_ms(self) -> int:
        """How long a message without a sign of life waits, ms."""
        return round(self.retry_after_s * 1000)

    @property
    def cancel_after_s(self) -> float | None:
        """When a handler is cancelled; None: never."""
        return self.timeout_s if self.can_cancel else None

    @property
    def renew_every_s(self) -> float:
        """How often a worker gives a sign of life."""
        return min(self.retry_after_s / 4, _RENEW_EVERY_S)


def _explain(name: str, value: object, form: str) -> WorkerOptionError:
    step = form if name == "url" else f"{name} is {form}"
    return WorkerOptionError(f"{name} = {value!r} is not possible", next=step)
