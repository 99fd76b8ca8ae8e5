"""Settings of a source of type generic, and what a map may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rfctl.section import Example, Words, check_each, raise_faults
from rfctl.sources.answers import Answers
from rfctl.sources.answers.config import AnswerSettings
from rfctl.sources.auth.places import find_path_fault
from rfctl.sources.config import OwnSourceConfig
from rfctl.sources.contract import SourceSpec
from rfctl.sources.generic.map_check import check_mapping, drop_empty

_CANNOT_TELL = (
    "would do nothing: {0} does not tell what a person of yours wrote from what the bot sent. Where the body tells, set "
    "own_if, own_phone and by_hand_if in the map (docs/gateways.md)"
)


def _check_path(path: str) -> None:
    if fault := find_path_fault(path):
        raise ValueError(fault)


class GenericConfig(AnswerSettings, OwnSourceConfig):
    """A source of type generic: the two generic forms, or any JSON with a map."""

    type: Literal["generic"]
    platform: str = Field(
        "",
        pattern=r"^[a-z0-9_-]{0,32}$",
        description="Network that the messages come from, such as whatsapp or instagram: receivers get it as platform. "
        "Empty: whatsapp for the two generic forms, as with the Node service; nothing with a map.",
        examples=["instagram"],
    )
    map: dict[str, Any] = Field(
        default_factory=dict,
        description="Where a JSON body has each fact, as paths like data.sender.id, and which bodies are no messages. "
        "docs/gateways.md tells how to write one.",
        examples=[{"phone": "sender.phone", "text": "text", "id": "id"}],
    )

    redact: Annotated[Words, check_each(_check_path)] = Field(
        default_factory=list,
        description="Paths in a body whose values are secrets, such as data.token. They are blanked before anything of the body is "
        "kept.",
        examples=[["token"]],
    )

    @model_validator(mode="after")
    def _map_can_match(self) -> Self:
        mapping = drop_empty(self.map) if self.preset else self.map
        if mapping:
            raise_faults([("map", problem) for problem in check_mapping(mapping)])
        return self

    @model_validator(mode="after")
    def _map_tells_own_words(self) -> Self:
        mapping = drop_empty(self.map)
        names_types = "type" in mapping and not self.preset  # the sender may call a type own
        tells = "by_hand_if" in mapping and bool({"own_if", "skip_if"} & mapping.keys())
        if self.wants_own and mapping and not (tells or names_types):
            setting = "own" if self.own != "ignore" else "release_words"
            source = f"the preset {self.preset}" if self.preset else "the map"
            raise_faults([(setting, _CANNOT_TELL.format(source))])
        return self

    @model_validator(mode="after")
    def _answers_have_a_map(self) -> Self:
        if not self.map:
            names = sorted(self.model_fields_set & AnswerSettings.model_fields.keys())
            raise_faults(
                [(name, "is for a source with a map: without one the answer is a receipt") for name in names]
            )
        return self

    @property
    def default_auth(self) -> str:
        """The word for how requests prove themselves without `auth`; "" for X-Signature of the two generic forms."""
        return "token" if self.map else ""

    def find_answers(self) -> Answers | None:
        """Return what requests are answered besides an empty body, where the settings say so."""
        return self.build_answers()

    @property
    def redacted_paths(self) -> list[str]:
        """The paths in a body whose values are blanked before anything of it is kept."""
        return self.redact

    @property
    def answer_text(self) -> str:
        """The body of an answer of 200; "" for none."""
        return self.answer

    @property
    def opens_bodies(self) -> bool:
        """Whether a body may be a form, which is read as JSON."""
        return bool(self.map)

    def handshake_hint(self, name: str) -> str:
        """Return what to look at when a handshake was rejected; "" without a verify token."""
        return (
            f"is sources.{name}.verify_token the one that the provider was told?" if self.verify_token else ""
        )

    @property
    def answers_in_words(self) -> bool:
        """Whether the caller is the operator's own code: it is, unless a map reads somebody else's JSON."""
        return not self.map


SPEC = SourceSpec(
    "generic",
    GenericConfig,
    build="rfctl.sources.generic.mapped:build_generic",
    stand_in="rfctl.sources.generic.stand_in:build_stand_in",
    examples=(
        Example(
            "The two generic forms, signed with X-Signature and X-Timestamp",
            "generic",
            {"secrets": ["shared with the sender"]},
        ),
        Example(
            "A gateway whose map is ready",
            "page",
            {"preset": "messenger", "secrets": ["app secret"]},
        ),
        Example(
            "Any JSON, by a map that says where each fact stands",
            "shop",
            {
                "secrets": ["token"],
                "auth": "token",
                "map": {"each": "messages", "phone": "sender.phone", "text": "text", "id": "id"},
            },
        ),
    ),
    dedupe_s=None,
)
