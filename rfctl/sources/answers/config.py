"""The settings of answers in words, for sources whose provider wants them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rfctl.section import SECRET, Section
from rfctl.sources.answers.answers import Answers, Confirmation
from rfctl.sources.auth.places import find_path_fault

_MOST_CHARS = 1024


def _check_path(path: str) -> str:
    if path and (fault := find_path_fault(path)):
        raise ValueError(fault)
    return path


def _check_answers(answers: dict[str, str]) -> dict[str, str]:
    for condition in answers:
        path, equals, _ = condition.partition("=")
        if not equals:
            raise ValueError(
                f"`{condition}` is no condition: write a path and what stands there, as in type=confirmation"
            )
        _check_path(path)
        if not path:
            raise ValueError(f"`{condition}` has no path before its =")
    return answers


_Answer = Annotated[str, Field(max_length=_MOST_CHARS)]


class AnswerSettings(Section):
    """What a source answers besides an empty body."""

    verify_token: str = Field(
        "",
        description="The verify token that a GET handshake like Meta's must name (hub.verify_token). It is answered with "
        "hub.challenge.",
        examples=["a word of your own"],
        json_schema_extra=SECRET,
    )
    challenge: Annotated[str, AfterValidator(_check_path)] = Field(
        "",
        description="The path of a word in a JSON body that is to be sent back, as Slack's challenge. Such a body has no "
        "message. It must prove itself as any other.",
        examples=["challenge"],
    )
    challenge_format: Literal["text", "json"] = Field(
        "text",
        description="How challenge is answered. text: the word alone. json: an object with the word under its own name.",
    )
    answer: _Answer = Field(
        "",
        description="The body of the answer to a request that was taken in, for a provider that demands words, as VK does. "
        "Empty: no body.",
        examples=["ok"],
    )
    answers: Annotated[dict[str, _Answer], AfterValidator(_check_answers)] = Field(
        default_factory=dict,
        description="The answers to some bodies, each by a path and what stands there, as PATH=VALUE. Such a body has no message. "
        "So VK gets its confirmation.",
        examples=[{"type=confirmation": "0a1b2c3d"}],
    )

    def build_answers(self) -> Answers | None:
        """Return what the settings say about answers, None for nothing."""
        if not (self.verify_token or self.challenge or self.answers):
            return None
        return Answers(
            verify_token=self.verify_token,
            challenge=tuple(self.challenge.split(".")) if self.challenge else (),
            challenge_format=self.challenge_format,
            confirmations=[_build_confirmation(condition, text) for condition, text in self.answers.items()],
        )


def _build_confirmation(condition: str, text: str) -> Confirmation:
    path, _, value = condition.partition("=")
    return Confirmation(tuple(path.split(".")), value, text)
