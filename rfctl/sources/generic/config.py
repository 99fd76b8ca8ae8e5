"""Settings of a source of type generic, and what a map may say."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rfctl.section import Example, raise_faults
from rfctl.sources.config import SourceConfig, find_token_fault
from rfctl.sources.contract import SourceSpec
from rfctl.sources.generic.map_check import check_mapping, drop_empty


def _is_header_name(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError("no request can have this header: write its name alone, as in X-Token")
    return name


class GenericConfig(SourceConfig):
    """A source of type generic: the two generic forms, or any JSON with a map."""

    type: Literal["generic"]
    map: dict[str, Any] = Field(
        default_factory=dict,
        description="Where a JSON body has each fact, as paths like data.sender.id, and which bodies are no messages. "
        "docs/gateways.md tells how to write one.",
        examples=[{"phone": "sender.phone", "text": "text", "id": "id"}],
    )
    auth: Literal["token", "hmac-sha256", "node"] = Field(
        "token",
        description="How a request to a source with a map proves itself. token: a header equals a secret. hmac-sha256: a "
        "header has the hex or base64 HMAC of the body. node: it has the X-Signature and X-Timestamp of the Node service. "
        "A source without a map always uses node.",
    )
    auth_header: Annotated[str, AfterValidator(_is_header_name)] = Field(
        "",
        description="The header that auth looks at, for a source with a map. Empty: Authorization.",
        examples=["X-Token"],
    )

    @model_validator(mode="after")
    def _map_can_match(self) -> Self:
        mapping = drop_empty(self.map) if self.preset else self.map
        if mapping:
            raise_faults([("map", problem) for problem in check_mapping(mapping)])
        return self

    @model_validator(mode="after")
    def _auth_has_a_map(self) -> Self:
        if not self.map:
            names = sorted(self.model_fields_set & {"auth", "auth_header"})
            raise_faults(
                [(name, "is for a source with a map: without one X-Signature is looked at") for name in names]
            )
        if self.auth == "node" and self.auth_header:
            raise_faults(
                [("auth_header", "is not looked at with auth = node: take it away, or set another auth")]
            )
        return self

    @model_validator(mode="after")
    def _a_token_can_match(self) -> Self:
        if self.map and self.auth == "token":
            raise_faults([("secrets", fault) for fault in map(find_token_fault, self.secrets) if fault])
        return self

    @property
    def answers_in_words(self) -> bool:
        """Whether the caller is the operator's own code: it is, unless a map reads somebody else's JSON."""
        return not self.map


SPEC = SourceSpec(
    "generic",
    GenericConfig,
    build="rfctl.sources.generic.mapped:build_generic",
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
