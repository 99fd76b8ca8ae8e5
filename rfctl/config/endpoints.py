"""Two of the sections that an operator names: where messages come from, and where they go. Rules are in rules.py."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from rfctl.section import (
    DAY_MS,
    SECRET,
    Fault,
    Numbers,
    Section,
    Word,
    Words,
    did_you_mean,
    only,
    raise_faults,
    unexpected_fields,
)
from rfctl.sinks.registry import types

DEFAULT_RETRY_DELAYS_MS = (
    5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000,
)  # fmt: skip
"""The waits that Standard Webhooks recommends: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h."""
_NEEDED = {
    "http": "url", "list": "key", "bullmq": "queue", "celery": "task", "rq": "task", "command": "command",
}  # fmt: skip
"""What a sink of a type cannot be without."""


class SourceSettings(Section):
    """One way in, POST /webhook/NAME: a provider's account, or several that share their secrets."""

    type: Literal["whatsapp-cloud", "twilio", "telegram", "evolution", "waha", "green-api", "generic"] = (
        Field(
            description="Whose requests these are. generic takes the Node service's two forms, or with map anybody's "
            "JSON; a section of the name generic needs no type.",
        )
    )
    secrets: Words = Field(
        default_factory=list,
        description="What requests are verified by, any of them (several: rotation): Meta's app secret, Twilio's auth "
        "token, Telegram's secret_token, Evolution's jwt_key or static header, WAHA's hmac key, GREEN-API's "
        "webhookUrlToken, the generic X-Signature secret. None: served to this machine only.",
        json_schema_extra=SECRET,
    )
    insecure: bool = Field(
        False,
        description="Take unverified requests from everywhere when there are no secrets. Warned about at every start.",
    )
    company: Word = Field("", max_length=64, description="Company of messages that name none.")
    quiet_ms: int | None = Field(
        None, ge=1, le=DAY_MS, description="This source's own batching.quiet_ms, ms; rules come before it."
    )
    max_size: int | None = Field(None, ge=1, le=1000, description="This source's own batching.max_size.")
    max_wait_ms: int | None = Field(
        None, ge=1, le=DAY_MS, description="This source's own batching.max_wait_ms, ms."
    )
    dedupe_s: int | None = Field(
        None,
        ge=1,
        le=2_592_000,
        description="How long this source's message ids are remembered, s. Unset: as long as its provider may send a "
        "message again (8 days whatsapp-cloud, 1 day twilio, 2 days the others), generic as batching.dedupe_s.",
    )
    verify_token: str = Field(
        "",
        description="The verify token that Meta's GET handshake must name.",
        json_schema_extra=only("whatsapp-cloud", secret=True),
    )
    public_url: str = Field(
        "",
        description="The address that Twilio calls, without the path: https://bot.example.com. It is part of the signature.",
        json_schema_extra=only("twilio"),
    )
    map: dict[str, str] = Field(
        default_factory=dict,
        description="Where a JSON body has what: phone, text, id, company, account, chat, name, time, type, media_url, "
        "media_mime, media_id, caption, skip_if as paths like data.sender.id; each for a list of messages.",
        json_schema_extra=only("generic"),
    )
    auth: Literal["token", "hmac-sha256", "node"] = Field(
        "token",
        description="How a generic request with a map proves itself: token (a header equals a secret), hmac-sha256 (a "
        "header has the hex or base64 HMAC of the body) or node. Without a map it is always node: X-Signature and "
        "X-Timestamp of the Node service.",
        json_schema_extra=only("generic"),
    )
    auth_header: str = Field(
        "",
        description="The header that auth looks at, for a generic source with a map. Empty: Authorization.",
        json_schema_extra=only("generic"),
    )

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        faults = unexpected_fields(self)
        if not all(one.strip() for one in self.secrets):
            faults.append(("secrets", "one of them is empty: it would verify nothing"))
        if self.type == "twilio" and not self.public_url:
            faults.append(("public_url", "is missing: Twilio signs the address that it calls"))
        if self.public_url and not re.fullmatch(r"https?://[^/?#]+/?", self.public_url):
            faults.append(("public_url", "write scheme and host alone, https://bot.example.com"))
        if self.type == "generic" and not self.map:
            given = sorted(self.model_fields_set & {"auth", "auth_header"})
            faults += [
                (name, "is for a source with a map: without one X-Signature is looked at") for name in given
            ]
        raise_faults(faults)
        return self


def _is_there(kind: str) -> str:
    if kind not in types():
        raise ValueError(f"there is no sink {kind}{did_you_mean(kind, types())}")
    return kind


def _never_public(url: str) -> str:
    """Return why no public receiver can be meant, or "". Other names are judged at each connection."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
        if host == "localhost":
            return f"{host} is this machine"
        ipaddress.ip_address(host)
    except ValueError:
        return ""  # a name, or a url of which the sink itself says what is wrong
    from rfctl.sinks.http.addresses import refusal  # noqa: PLC0415 - it brings aiohttp, which few commands need

    return refusal(host)


class SinkSettings(Section):
    """One way out. Every sink has its own consumer group on the output stream, and its own pace."""

    type: Annotated[str, AfterValidator(_is_there)] = Field(
        description="stream, list, bullmq, http, celery, rq, command, stdout, or one that a package registers in the "
        "entry point group rfctl.sinks.",
    )
    retry_delays_ms: Numbers = Field(
        default_factory=lambda: list(DEFAULT_RETRY_DELAYS_MS),
        max_length=100,
        description="Waits between the tries, ms; after the last try the message is dead. The default is that of Standard Webhooks.",
    )
    concurrency: int = Field(
        16,
        ge=1,
        le=1000,
        description="How many people's messages are delivered at a time; one person's go one after another.",
    )
    timeout_ms: int = Field(15_000, ge=10, le=3_600_000, description="How long one try may take in all, ms.")
    connect_timeout_ms: int = Field(
        5000,
        ge=10,
        le=600_000,
        description="How long a connection may take, ms.",
        json_schema_extra=only("http", "bullmq", "celery", "rq"),
    )
    key: str = Field(
        "",
        description="Key in the same Redis; {company}, {phone}, {channel} and {account} are put in. For stream, empty: the "
        "output stream itself, for workers with a consumer group of their own. With redis.shards every shard has one of "
        "its own: KEY:{0}, KEY:{1} and so on.",
        json_schema_extra=only("list", "stream"),
    )
    group: str = Field(
        "",
        max_length=64,
        description="Consumer group of your workers, which is made at the beginning of what is kept; nothing is trimmed "
        "that it has not acknowledged.",
        json_schema_extra=only("stream"),
    )
    url: str = Field(
        "",
        description="http: where to POST. bullmq, celery, rq: the queue's Redis or broker; empty: redis.url.",
        json_schema_extra=only("http", "bullmq", "celery", "rq", secret=True),
    )
    secret: Words = Field(
        default_factory=list,
        description="Secrets (whsec_…) that sign each POST by Standard Webhooks; several: rotation. None: unsigned.",
        json_schema_extra=only("http", secret=True),
    )
    allow_private: bool = Field(
        False,
        description="Allow a receiver on this host or in a private network.",
        json_schema_extra=only("http"),
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="More headers of each POST.",
        json_schema_extra=only("http", secret=True),
    )
    queue: str = Field(
        "",
        description="Queue; {company}, {phone}, {channel} and {account} are put in: company-{company}-messages. Empty: "
        "default for rq, Celery's own for celery.",
        json_schema_extra=only("bullmq", "celery", "rq"),
    )
    job: str = Field(
        "process-message",
        min_length=1,
        description="Name of the BullMQ job.",
        json_schema_extra=only("bullmq"),
    )
    prefix: str = Field(
        "bull", min_length=1, description="Prefix of BullMQ's keys.", json_schema_extra=only("bullmq")
    )
    attempts: int = Field(
        3,
        ge=1,
        le=1000,
        description="How often BullMQ lets a worker try the job.",
        json_schema_extra=only("bullmq"),
    )
    backoff_ms: int = Field(
        5000,
        ge=0,
        le=DAY_MS,
        description="BullMQ's first wait between a worker's tries, doubled each time, ms.",
        json_schema_extra=only("bullmq"),
    )
    task: str = Field(
        "",
        description="Name of the Celery task, or dotted path of the RQ function; it is given the message as a dict.",
        json_schema_extra=only("celery", "rq"),
    )
    command: Words = Field(
        default_factory=list,
        description="Program and arguments, run once a message: JSON on its stdin, exit status 0 delivered, 65 never "
        "deliverable, else tried again.",
        json_schema_extra=only("command"),
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of a sink from another package, given to it as they are.",
        json_schema_extra=SECRET,
    )

    @field_validator("retry_delays_ms")
    @classmethod
    def _waits_are_waits(cls, value: list[int]) -> list[int]:
        if any(not 0 <= wait <= 30 * DAY_MS for wait in value):
            raise ValueError("each wait is between 0 and 30 days, in ms")
        return value

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        faults: list[Fault] = unexpected_fields(self)
        needed = _NEEDED.get(self.type, "")
        if needed and not getattr(self, needed):
            faults.append((needed, f"is missing: a sink of type {self.type} needs it"))
        if self.type == "http" and not self.allow_private and (why := _never_public(self.url)):
            faults.append(("url", f"{why}: nothing is sent there unless allow_private = true"))
        if self.group.startswith("rfctl:"):
            faults.append(("group", "groups that begin with rfctl: are the sinks' own"))
        raise_faults(faults)
        return self
