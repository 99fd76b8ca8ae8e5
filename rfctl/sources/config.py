"""The settings that every source has; each provider's own are beside its source."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rfctl.section import DAY_MS, SECRET, Section, Word, Words, check_each


def _check_secret(secret: str) -> None:
    if not secret.strip():
        raise ValueError("one of them is empty: it would verify nothing")


class SourceConfig(Section):
    """The settings of every source, POST /webhook/NAME: a provider's account, or several that share their secrets."""

    type: str = Field(
        description="The provider whose requests come in. generic takes the two forms of rfctl's own webhook, or "
        "with map any JSON. A section of the name generic needs no type.",
        examples=["whatsapp-cloud"],
    )
    secrets: Annotated[Words, check_each(_check_secret)] = Field(
        default_factory=list,
        description="Secrets that verify a request; one match is enough, so several allow a change. A source without "
        "secrets serves this machine only.",
        examples=[["the secret", "the one before it"]],
        json_schema_extra=SECRET,
    )
    insecure: bool = Field(
        False,
        description="Take unverified requests from everywhere, if there are no secrets. Every start warns of it.",
    )
    company: Word = Field(
        "", max_length=64, description="Company of messages that name none.", examples=["962302"]
    )
    quiet_ms: int | None = Field(
        None,
        ge=1,
        le=DAY_MS,
        description="batching.quiet_ms for this source, ms. Rules come before it.",
        examples=[4000],
    )
    max_size: int | None = Field(
        None, ge=1, le=1000, description="batching.max_size for this source.", examples=[5]
    )
    max_wait_ms: int | None = Field(
        None, ge=1, le=DAY_MS, description="batching.max_wait_ms for this source, ms.", examples=[30_000]
    )
    dedupe_s: int | None = Field(
        None,
        ge=1,
        le=2_592_000,
        description="How long rfctl remembers the ids of this source's messages, s. Unset: as long as its provider may "
        "repeat a message (8 days for whatsapp-cloud, 1 day for twilio, 2 days for the others). generic then follows "
        "batching.dedupe_s.",
        examples=[172_800],
    )

    @property
    def answers_in_words(self) -> bool:
        """Whether answers say what became of each message: the caller is the operator's own code then."""
        return False

    def handshake_hint(self, name: str) -> str:  # noqa: ARG002 - most providers ask for none
        """Return what to look at when a handshake of this source was rejected; "" if it has none."""
        return ""
