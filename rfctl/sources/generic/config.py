"""Settings of a source of type generic, and what a map may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rfctl.section import Example, raise_faults
from rfctl.sources.config import OwnSourceConfig, find_token_fault
from rfctl.sources.contract import SourceSpec
from rfctl.sources.generic.json_path import Path

MAP_KEYS = (
    "each", "phone", "text", "id", "company", "account", "chat", "name", "time", "type",
    "media_url", "media_mime", "media_id", "caption", "skip_if",
)  # fmt: skip
_CONTENT = ("text", "media_url", "media_id")


def check_mapping(mapping: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a mapping, one line each; an empty list when nothing is."""
    problems = [
        f"unknown key `{key}`: one of {', '.join(MAP_KEYS)}" for key in mapping if key not in MAP_KEYS
    ]
    problems += [
        f"`{key}`: `{path}` {fault}"
        for key, path in mapping.items()
        if key in MAP_KEYS and (fault := Path.find_fault(path))
    ]
    if "phone" not in mapping:
        problems.append("`phone` is missing: where does it say who sent the message?")
    if not any(key in mapping for key in _CONTENT):
        problems.append("neither `text` nor `media_url` nor `media_id` is set: what is there to hand over?")
    return problems


def _is_mapping(mapping: dict[str, str]) -> dict[str, str]:
    if mapping:
        raise_faults([("", problem) for problem in check_mapping(mapping)])
    return mapping


def _is_header_name(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError("no request can have this header: write its name alone, as in X-Token")
    return name


class GenericConfig(OwnSourceConfig):
    """A source of type generic: the two generic forms, or any JSON with a map."""

    type: Literal["generic"]
    map: Annotated[dict[str, str], AfterValidator(_is_mapping)] = Field(
        default_factory=dict,
        description="Where a JSON body has each fact: phone, text, id, company, account, chat, name, time, type, media_url, "
        "media_mime, media_id, caption and skip_if, as paths like data.sender.id. each is the path of a list of messages.",
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
