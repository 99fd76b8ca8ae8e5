"""The settings that every source has; each provider's own are beside its source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rfctl.model.message import MAX_COMPANY_CHARS, MAX_ID_CHARS
from rfctl.section import DAY_MS, SECRET, Section, Words, check_each, raise_faults
from rfctl.sources.auth.config import (
    Auth,
    HeaderName,
    check_auth,
    find_auth_header_fault,
    find_token_fault,
    parse_auth,
)
from rfctl.sources.tenants import ACCOUNT

if TYPE_CHECKING:
    from rfctl.sources.answers import Answers

__all__ = ["SourceConfig", "find_token_fault"]


def _check_secret(secret: str) -> None:
    if not secret.strip():
        raise ValueError("one of them is empty: it would verify nothing")


def _check_company(company: int | str) -> int | str:
    if len(str(company)) > MAX_COMPANY_CHARS:
        raise ValueError(f"at most {MAX_COMPANY_CHARS} characters")
    if isinstance(company, str) and "{" in company.replace(ACCOUNT, ""):
        raise ValueError(f"{ACCOUNT} alone can stand in it, for the account that a message was sent to")
    return company


def _name_company_kinds(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("write a whole number, or a text in quotes")
    return value


def _check_origin(url: str) -> str:
    if url and not re.fullmatch(r"https?://[^/?#]+/?", url):
        raise ValueError("write scheme and host alone, https://bot.example.com")
    return url


def _check_public_path(path: str) -> str:
    if path and not re.fullmatch(r"/[!-\"$->@-~]*", path):
        raise ValueError(
            "write the path as the provider calls it, as in /hooks/sms: no query, and spaces as %20"
        )
    return path


Origin = Annotated[str, AfterValidator(_check_origin)]
_Company = Annotated[int | str, BeforeValidator(_name_company_kinds), AfterValidator(_check_company)]


class SourceConfig(Section):
    """The settings of every source, POST /webhook/NAME: a provider's account, or several that share their secrets."""

    type: str = Field(
        description="The provider whose requests come in. generic takes the two forms of rfctl's own webhook, or "
        "with map any JSON. A section of the name generic needs no type.",
        examples=["whatsapp-cloud"],
    )
    preset: str = Field(
        "",
        description="A gateway whose settings are ready: this section then needs its secrets, and whatever differs. A key of "
        "this section comes before that of the preset; in map each key does so by itself, and an empty text sets it to "
        "nothing. `rfctl config explain sources.NAME` shows the whole source.",
        examples=["messenger"],
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
    auth: Annotated[str | dict[str, Any], BeforeValidator(check_auth)] = Field(
        "",
        description="How a request proves itself, where that is not the provider's own way: a word, or a table that says more. "
        "token: a header equals a secret. hmac-sha256 (or hmac-sha1, hmac-sha512): a header has the HMAC of the body, in hex "
        "or base64. basic: a secret is user:password. jwt: a secret has signed a JSON Web Token (HS256). node: X-Signature and "
        "X-Timestamp of the Node service. standard-webhooks: as that standard says. Empty: the provider's own way; a map has "
        "token, and the two generic forms have node.",
        examples=["token"],
    )
    auth_header: HeaderName = Field(
        "",
        description="The header that auth looks at, where auth is token, jwt or hmac-.... Empty: Authorization.",
        examples=["X-Token"],
    )
    public_url: Origin = Field(
        "",
        description="The address that the provider calls, without the path: https://bot.example.com. It is part of the signature of "
        "twilio, and of an auth that has {url} in it.",
        examples=["https://bot.example.com"],
    )
    public_path: Annotated[str, AfterValidator(_check_public_path)] = Field(
        "",
        description="The path that the provider calls, where a proxy makes /webhook/NAME of it. It is part of some signatures. Empty: "
        "/webhook/NAME.",
        examples=["/hooks/sms"],
    )
    company: _Company = Field(
        "",
        description="Company of messages that name none: a number, or a text in quotes. Receivers get it as it stands here. "
        "A variable or a credential is a text. {account} in it becomes the account that a message was sent to.",
        examples=[962302],
    )
    companies: dict[str, _Company] = Field(
        default_factory=dict,
        description="Companies by the account that a message was sent to. That is the phone_number_id of whatsapp-cloud, the "
        "instance of evolution and green-api, or the session of waha. For telegram it is the business connection, for twilio "
        "the number. A company that the message names comes before it, and company is for all other accounts.",
        examples=[{"106540352242922": 962302, "206540352242922": 962303}],
    )
    unknown_account: Literal["keep", "quarantine"] = Field(
        "keep",
        description="What becomes of a message to an account that companies does not name. keep: it is taken under company, "
        "or under none, and rfctl stats counts it. quarantine: it waits in quarantine until companies names the account.",
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

    @model_validator(mode="after")
    def _requests_can_prove_themselves(self) -> Self:
        if self.auth_header and (fault := find_auth_header_fault(self.auth or self.default_auth)):
            raise_faults([("auth_header", fault)])
        auth = self.find_auth()
        if auth is not None:
            raise_faults([("secrets", fault) for fault in auth.find_secret_faults(self.secrets)])
            if auth.signs_url and not self.public_url:
                raise_faults(
                    [
                        (
                            "public_url",
                            "is missing: the signature has the address in it that the provider calls",
                        )
                    ]
                )
        return self

    @property
    def default_auth(self) -> str:
        """The word for how requests prove themselves without `auth`; "" for the provider's own way."""
        return ""

    def find_auth(self) -> Auth | None:
        """Return how requests prove themselves; None for the provider's own way."""
        auth = self.auth or self.default_auth
        return parse_auth(auth, self.auth_header) if auth else None

    def find_answers(self) -> Answers | None:
        """Return what requests are answered besides an empty body, where the settings say so."""
        return None

    @property
    def answer_text(self) -> str:
        """The body of an answer of 200; "" for none."""
        return ""

    @property
    def redacted_paths(self) -> list[str]:
        """The paths in a body whose values are blanked before anything of it is kept."""
        return []

    @property
    def opens_bodies(self) -> bool:
        """Whether a body may be a form, which is read as JSON."""
        return False

    @model_validator(mode="after")
    def _accounts_fit_together(self) -> Self:
        faults = []
        if self.unknown_account == "quarantine" and not self.companies:
            faults.append(
                ("unknown_account", "no account is unknown without companies: name the accounts there")
            )
        if self.unknown_account == "quarantine" and self.company != "":
            faults.append(("company", "it is never used: messages to unknown accounts go to quarantine"))
        raise_faults(faults)
        return self

    @property
    def names_company(self) -> bool:
        """Whether its messages have a company that they do not name themselves."""
        return self.company != "" or bool(self.companies)

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
