"""Settings of a sink of type http; no problem shows a url or a secret."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from rfctl.section import SECRET, Example, Words, raise_faults, require
from rfctl.sinks.config import ConnectingConfig, PayloadSection
from rfctl.sinks.contract import SinkSpec
from rfctl.sinks.http.addresses import find_block_reason
from rfctl.text import hide_secrets, visible

_PREFIX = "whsec_"
_EXAMPLE_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"  # noqa: S105 - of the example file
_NUMERIC_HOST = re.compile(r"[0-9.]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OUR_HEADERS = frozenset({"content-type", "content-length", "transfer-encoding", "connection", "user-agent"})


def _check_url(text: str) -> str:
    from yarl import URL  # noqa: PLC0415 - few commands read the settings of an http sink

    try:
        url = URL(text)
    except ValueError as problem:
        raise ValueError(f"it cannot be read: {hide_secrets(str(problem), text)}") from None
    if url.scheme not in {"http", "https"} or not url.host or re.search(r"[\s\x00-\x1f]", text):
        raise ValueError("it must be http://… or https://… with a host, and without spaces")
    if _NUMERIC_HOST.fullmatch(url.host) and not _is_plain(url.host):
        raise ValueError(f"{url.host} is no address as it is written: use four numbers, as in 203.0.113.7")
    return text


def _is_plain(host: str) -> bool:
    numbers = host.split(".")
    return len(numbers) == 4 and all(part == str(int(part or "256")) and int(part) < 256 for part in numbers)


def decode_secret(secret: str) -> bytes:
    """Return the key of a `whsec_…`; its base64 may lack the padding. Raises ValueError in words."""
    if not secret.startswith(_PREFIX):
        raise ValueError(f"must start with {_PREFIX}")
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"is not base64 after {_PREFIX}") from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"holds {len(key)} bytes: Standard Webhooks wants 24 to 64")
    return key


def _check_secrets(secrets: list[str]) -> list[str]:
    for number, secret in enumerate(secrets, 1):
        try:
            decode_secret(secret)
        except ValueError as problem:
            raise ValueError(f"number {number} {problem}") from None
    return secrets


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"{visible(name)} cannot be sent; names and values are plain ASCII on one line")
        if name.lower() in _OUR_HEADERS or name.lower().startswith("webhook-"):
            raise ValueError(f"{name} is set by rfctl")
    return headers


def _find_public_fault(url: str) -> str:
    """Return why no public receiver can be meant, or "". Other names are judged at each connection."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost":
        return f"{host} is this machine"
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ""
    return find_block_reason(host)


class HttpConfig(PayloadSection, ConnectingConfig):
    """A sink of type http: one signed POST a message."""

    type: Literal["http"]
    url: Annotated[str, require("a sink of type http needs it"), AfterValidator(_check_url)] = Field(
        "",
        validate_default=True,
        description="URL of the receiver, which gets a POST for each message.",
        examples=["https://crm.example.com/messages"],
        json_schema_extra=SECRET,
    )
    secrets: Annotated[Words, AfterValidator(_check_secrets)] = Field(
        default_factory=list,
        description="Secrets (whsec_…) that sign each POST by Standard Webhooks; several allow a change. Without one, "
        "nothing is signed.",
        examples=[[_EXAMPLE_SECRET]],
        json_schema_extra=SECRET,
    )
    allow_private: bool = Field(False, description="Allow a receiver on this host or in a private network.")
    headers: Annotated[dict[str, str], AfterValidator(_check_headers)] = Field(
        default_factory=dict,
        description="More headers of each POST.",
        examples=[{"X-Tenant": "salon"}],
        json_schema_extra=SECRET,
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        faults = []
        if not self.allow_private and (why := _find_public_fault(self.url)):
            faults.append(("url", f"{why}: nothing is sent there unless allow_private = true"))
        if urlsplit(self.url).username and "authorization" in {name.lower() for name in self.headers}:
            faults.append(("url", "it has a user, and headers an Authorization: one of them is too much"))
        raise_faults(faults)
        return self


SPEC = SinkSpec(
    "http",
    HttpConfig,
    build="rfctl.sinks.http.sink:Http",
    example=Example(
        "HTTP: a POST, signed by Standard Webhooks (make a secret of your own: echo whsec_$(openssl rand -base64 32))",
        "crm",
        {
            "url": "https://crm.example.com/messages",
            "secrets": [_EXAMPLE_SECRET],
            "retry_delays_ms": [5000, 300_000],
        },
    ),
)
