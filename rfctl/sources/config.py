"""The settings that every source has; each provider's own are beside its source."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from rfctl.model.message import MAX_COMPANY_CHARS, MAX_ID_CHARS
from rfctl.section import DAY_MS, SECRET, Section, Words, check_each


def _check_secret(secret: str) -> None:
    if not secret.strip():
        raise ValueError("one of them is empty: it would verify nothing")


def find_token_fault(token: str) -> str:
    """Return why no header can be this token, in words; "" when one can."""
    if token != token.strip() or re.search(r"[\x00-\x1f\x7f]", token):
        return "no header begins or ends with white space, or has control characters: write the token alone"
    return ""


def _check_company(company: int | str) -> int | str:
    if len(str(company)) > MAX_COMPANY_CHARS:
        raise ValueError(f"at most {MAX_COMPANY_CHARS} characters")
    return company


def _name_company_kinds(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("write a whole number, or a text in quotes")
    return value


_Company = Annotated[int | str, BeforeValidator(_name_company_kinds), AfterValidator(_check_company)]


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
    company: _Company = Field(
        "",
        description="Company of messages that name none: a number, or a text in quotes. Receivers get it as it stands here. "
        "A variable or a credential is a text.",
        examples=[962302],
    )
    id_scope: str = Field(
        "",
        max_length=MAX_ID_CHARS,
        description="Under which name rfctl remembers the ids of this source's messages, where a request does not name the "
        "provider's account. Empty: the name of the source. Set it to the old name when you rename a source, or ids seen "
        "before are new again.",
        examples=["salon"],
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

    def find_id_scope(self, name: str) -> str:
        """Return under which name the ids of this source are remembered."""
        return self.id_scope or name

    @property
    def answers_in_words(self) -> bool:
        """Whether answers say what became of each message: the caller is the operator's own code then."""
        return False

    def handshake_hint(self, name: str) -> str:  # noqa: ARG002 - most providers ask for none
        """Return what to look at when a handshake of this source was rejected; "" if it has none."""
        return ""


class OwnSourceConfig(SourceConfig):
    """The settings of a source that also brings what somebody on our side writes to a person."""

    own: Literal["ignore", "close", "hold", "pass"] = Field(
        "ignore",
        description="What happens when somebody on our side writes to a person, from the phone or the business app. ignore: rfctl "
        "counts it. close: the pending batch of this person ends, see own_pending. hold: the bot gets nothing of this person "
        "for own_hold_ms. pass: the words join the batch, as a message of type own. What the bot itself sends does not count, "
        "where the provider tells it apart (man 7 rfctl).",
    )
    own_hold_ms: int = Field(
        3_600_000,
        ge=1000,
        le=30 * DAY_MS,
        description="How long own = hold keeps a person from the bot, ms. Each word of ours begins it anew.",
    )
    own_pending: Literal["hand_over", "discard"] = Field(
        "hand_over",
        description="What own = close does with the pending batch. hand_over: the bot gets it, with the reason closed. discard: "
        "rfctl throws it away, and counts it.",
    )
    release_words: Words = Field(
        default_factory=list,
        description="When somebody on our side writes one of these to a person, the hold ends, and what is pending goes to the "
        "bot. rfctl compares them like the words of a rule, whatever own says.",
        examples=[["bot, go on"]],
    )

    @property
    def wants_own(self) -> bool:
        """Whether what somebody on our side writes by hand is read."""
        return self.own != "ignore" or bool(self.release_words)
