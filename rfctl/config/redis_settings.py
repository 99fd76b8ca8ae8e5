"""The settings of the Redis that holds everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Self

from pydantic import Field, field_validator, model_validator

from rfctl.model.redis_url import add_options, parse_redis_url
from rfctl.section import SECRET, Fault, Section, raise_faults
from rfctl.store.keys import RESERVED_PREFIXES

EMBEDDED = "embedded"


class RedisSettings(Section):
    """The Redis that holds everything."""

    url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Redis or Valkey to use: redis://[user:password@]host:port/db, rediss://… for TLS, unix:///path?db=0, or "
        "embedded. valkey:// and valkeys:// mean the same as redis:// and rediss://. Percent-encode user and password. "
        "embedded is a private Valkey that the daemon starts and ends.",
        json_schema_extra=SECRET,
    )
    tls_ca: str = Field(
        "",
        description="PEM file of the authority that vouches for a rediss:// address. Empty: the authorities of this system.",
    )
    tls_cert: str = Field(
        "",
        description="PEM file of our own certificate, for a Redis that asks for one. It needs redis.tls_key.",
    )
    tls_key: str = Field("", description="PEM file of the key of redis.tls_cert, without a password.")
    shards: int = Field(
        0,
        ge=0,
        le=1024,
        description="Number of hash tags over which rfctl spreads its keys; 0 means plain names. Every process on one Redis "
        "needs the same number. Change it only while nothing is pending. With shards, an id is remembered in one of them: "
        "see Ids of messages in rfctl(7).",
    )
    prefix: str = Field(
        "",
        description="Text before the names of rfctl's own keys and channels, so that several rfctl share a database: staging-. "
        "output.stream and the keys of sinks stay as they are written. Every process of one rfctl needs the same text.",
    )
    allow_eviction: bool = Field(
        False,
        description="Start although Redis may delete keys when its memory is full: its maxmemory-policy is not noeviction. "
        "Messages can then be lost.",
    )
    connect_timeout_ms: int = Field(1500, ge=10, le=60_000, description="How long a connection may take, ms.")
    timeout_ms: int = Field(2000, ge=10, le=60_000, description="How long an answer of Redis may take, ms.")
    embedded_port: int = Field(
        6380,
        ge=1,
        le=65_535,
        description="TCP port of the embedded Valkey, for your workers. When another program has it, rfctl takes a free one "
        "and says so.",
    )
    embedded_dir: str = Field(
        "",
        description="State folder of the embedded Valkey. Empty: $STATE_DIRECTORY of systemd, else $XDG_STATE_HOME/rfctl, "
        "else ~/.local/state/rfctl.",
    )

    @field_validator("prefix")
    @classmethod
    def _prefix_is_plain(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9._:/-]{1,64}", value):
            raise ValueError("use letters, digits and . _ : / - (at most 64)")
        if value.startswith(RESERVED_PREFIXES):
            raise ValueError(
                f"a prefix that begins with {', '.join(RESERVED_PREFIXES)} would hide other keys"
            )
        return value

    @field_validator("url")
    @classmethod
    def _url_is_understood(cls, value: str) -> str:
        if value != EMBEDDED:
            parse_redis_url(value)
        return value

    @model_validator(mode="after")
    def _tls_files_fit_the_url(self) -> Self:
        raise_faults(list(self._tls_faults()))
        return self

    def _tls_faults(self) -> Iterator[Fault]:
        url = None if self.url == EMBEDDED else parse_redis_url(self.url)
        for name, (option, path) in self._tls_files().items():
            if path and (url is None or not url.is_tls):
                yield name, "it is for TLS, and redis.url is not rediss://"
            elif path and url is not None and option in url.options:
                yield name, f"redis.url has {option}= too: leave one out"
        if bool(self.tls_cert) != bool(self.tls_key):
            yield (
                ("tls_key" if self.tls_cert else "tls_cert"),
                "is missing: a certificate and its key go together",
            )

    def _tls_files(self) -> dict[str, tuple[str, str]]:
        return {
            "tls_ca": ("ssl_ca_certs", self.tls_ca),
            "tls_cert": ("ssl_certfile", self.tls_cert),
            "tls_key": ("ssl_keyfile", self.tls_key),
        }

    def list_tls_files(self) -> list[tuple[str, str]]:
        """Return the settings of TLS that are set, and what a URL calls each."""
        return [(name, option) for name, (option, path) in self._tls_files().items() if path]

    def full_url(self) -> str:
        """Return the URL with the TLS files in its query, in the form that every library understands."""
        if self.url == EMBEDDED:
            return self.url
        options = {option: path for option, path in self._tls_files().values() if path}
        return add_options(parse_redis_url(self.url).url, options)
