"""The section `http`: where the webhook listens, who counts as this machine, and how much a client may use."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from rfctl.model.closed_sets import PageMode
from rfctl.model.token import MIN_TOKEN_CHARS
from rfctl.section import SECRET, Section, Words

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class HttpSettings(Section):
    """The webhook's listener."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that the webhook listens on, or unix:/path for a Unix socket. Nothing that comes over a Unix "
        "socket counts as this machine: it is often a proxy's.",
    )
    port: int = Field(
        3000, ge=0, le=65_535, description="Port that the webhook listens on. 0 takes a free port."
    )
    socket_mode: str = Field(
        "0660",
        pattern=r"^0?[0-7]{3}$",
        description="Mode of a Unix socket: who may connect, as chmod writes it.",
    )
    admin_token: str = Field(
        "",
        description="Bearer token for statistics and for the deletion of batches over HTTP. Empty: rfctl serves them to this "
        f"machine only. One of fewer than {MIN_TOKEN_CHARS} characters may be guessed: each start warns of it.",
        json_schema_extra=SECRET,
    )
    metrics_token: str = Field(
        "",
        description="Bearer token for GET /metrics, and for nothing else: what Prometheus gets. http.admin_token opens the "
        "metrics too. If both are empty, rfctl serves them to this machine only. "
        f"One of fewer than {MIN_TOKEN_CHARS} characters may be guessed: each start warns of it.",
        json_schema_extra=SECRET,
    )
    allowed_hosts: Words = Field(
        default_factory=list,
        description="Names of this machine that clients on it use, besides localhost, 127.0.0.1 and ::1. What is for this "
        "machine only is served only under these, as Host and, where a browser sends it, as Origin.",
        examples=[["bot.internal"]],
    )
    page: Literal["auto", "off", "read-only", "on"] = Field(
        "auto",
        description="Whether GET / is a web page that shows what is going on, and lets an operator act: on, read-only or off. "
        "auto: on where http.host is a loopback address or http.admin_token is set, else off. Without the token it is "
        "served to this machine only.",
    )
    max_body_bytes: int = Field(
        3_145_728,
        ge=1024,
        le=268_435_456,
        description="Largest body of a request, bytes. A larger one gets 413. Sources whose provider sends media inside its "
        "requests (evolution, green-api, waha) take up to 32 MiB.",
    )
    max_inflight_bytes: int = Field(
        41_943_040,
        ge=1_048_576,
        le=17_179_869_184,
        description="Bound over all bodies in hand, from their announcement to their answer, bytes. What comes beyond it gets "
        "503. The last fifth is for bodies of up to 64 KiB.",
    )
    max_header_bytes: int = Field(
        16_384,
        ge=1024,
        le=1_048_576,
        description="Largest header of a request, bytes. A larger one gets 431.",
    )
    header_timeout_ms: int = Field(
        5000,
        ge=10,
        le=600_000,
        description="Time for the header of a request, ms. rfctl then closes the connection.",
    )
    body_timeout_ms: int = Field(
        10_000,
        ge=10,
        le=600_000,
        description="Time for the body of a request, and for the client to take the answer, ms. rfctl then closes the "
        "connection.",
    )

    @field_validator("host")
    @classmethod
    def _socket_has_a_path(cls, value: str) -> str:
        if value.startswith("unix:") and (not value.startswith("unix:/") or len(value.encode()) > 112):
            raise ValueError("write unix:/path, with a path of at most 107 bytes")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_names(cls, value: list[str]) -> list[str]:
        for host in value:
            if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:]+", host):
                raise ValueError(f"{host}: write a name or an address alone, without scheme and port")
        return [host.lower() for host in value]

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine reaches the listener, over TCP."""
        return self.host in LOOPBACK

    @property
    def page_in_force(self) -> PageMode:
        """What the page is: auto depends on who can reach it."""
        if self.page != "auto":
            return self.page
        return "on" if self.is_on_loopback or self.admin_token else "off"

    @property
    def short_tokens(self) -> tuple[str, ...]:
        """The settings of tokens that are so short that they may be guessed."""
        tokens = {"http.admin_token": self.admin_token, "http.metrics_token": self.metrics_token}
        return tuple(name for name, token in tokens.items() if 0 < len(token) < MIN_TOKEN_CHARS)

    @model_validator(mode="after")
    def _page_has_visitors(self) -> Self:
        is_wanted = self.page in ("on", "read-only")
        if is_wanted and self.host.startswith("unix:") and not self.admin_token:
            raise ValueError(
                f"page is {self.page}, and nobody may open it over a Unix socket without a token. Set admin_token"
            )
        return self

    @model_validator(mode="after")
    def _body_fits(self) -> Self:
        if self.max_body_bytes > self.max_inflight_bytes * 4 // 5:
            raise ValueError(
                f"max_body_bytes ({self.max_body_bytes}) is more than four fifths of max_inflight_bytes "
                f"({self.max_inflight_bytes}): no such body would ever be taken. Raise max_inflight_bytes"
            )
        return self
