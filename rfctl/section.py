"""The base of all settings models: reading of lists, and the words for what is wrong with a setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from rfctl.errors import SettingsError
from rfctl.text import did_you_mean

DAY_MS = 86_400_000
SECRET: dict[str, Any] = {"secret": True}
"""Marks a setting whose value is masked wherever it is shown."""
Fault = tuple[str, str]
"""The name of a setting ("": the section itself), and what is wrong with it."""
_NAME_RULE = "a name is lower-case letters and digits, with single - or _ between them, at most 32"
_IN_WORDS = {
    "dict_type": "write a table (in a variable or a credential as JSON)",
    "model_type": "write a section",
    "string_type": "write a text, in quotes",
    "missing": "is missing",
}


def parse_list(value: Any) -> Any:
    """Split the text of a variable or a credential into a list: at commas, or one word a line."""
    words = split_keeping_ends(value)
    return [word.rstrip() for word in words] if isinstance(value, str) else words


def split_keeping_ends(value: Any) -> Any:
    """Split a text like `parse_list`, but keep the white space at the end of each word."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        raise ValueError("it begins like a list in JSON, and is none")
    if isinstance(value, str):
        return [word.lstrip() for word in re.split(r"[\n,]", value) if word.strip()]
    return value


def parse_lines(value: Any) -> Any:
    """Split a text into a list whose words may have commas: one a line."""
    return value.splitlines() if isinstance(value, str) else value


def _number_as_text(value: Any) -> Any:
    # Companies are often numbers.
    return str(value) if type(value) is int else value


Word = Annotated[str, BeforeValidator(_number_as_text)]
Words = Annotated[list[Word], BeforeValidator(parse_list)]
Numbers = Annotated[list[int], BeforeValidator(parse_list)]
# No two underscores in a row: they part the names of a variable.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=32)]


class Section(BaseModel):
    """A section of the settings. An unknown name in it is an error, so that a typing mistake is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


SectionModel = TypeVar("SectionModel", bound=Section)


@dataclass(frozen=True, slots=True)
class Example:
    """A section for the example file: what it is for, its name, and its settings."""

    title: str
    name: str
    settings: Mapping[str, Any]


def require(why: str) -> AfterValidator:
    """Return a validator that rejects an empty value; the field also needs `validate_default=True`."""

    def check(value: Any) -> Any:
        if not value:
            raise ValueError(f"is missing: {why}")
        return value

    return AfterValidator(check)


def check_each(check: Callable[[Any], None]) -> AfterValidator:
    """Return a validator that calls `check` with each item of a list; the check raises ValueError."""

    def check_all(values: list[Any]) -> list[Any]:
        for value in values:
            check(value)
        return values

    return AfterValidator(check_all)


def build_section(model: type[SectionModel], settings: Mapping[str, Any], place: str) -> SectionModel:
    """Return a section of these settings. Raises SettingsError; each problem begins with `place` and the setting."""
    try:
        return model.model_validate(settings)
    except ValidationError as problem:
        faults = [fault for error in problem.errors(include_url=False) for fault in list_faults(error)]
        lines = [f"{'.'.join(filter(None, (place, name)))}: {fact}" for name, fact in faults]
        raise SettingsError(lines, next="see `man rfctl.toml`") from None


def raise_faults(faults: Sequence[Fault]) -> None:
    """Reject a section with all of its faults at once. Raises an error of pydantic, from which `list_faults` gets them."""
    if faults:
        text = "; ".join(f"{name}: {fact}" if name else fact for name, fact in faults)
        raise PydanticCustomError("faults", "{text}", {"text": text, "faults": list(faults)})


def list_faults(error: ErrorDetails) -> list[Fault]:
    """Return the faults behind one of pydantic's errors, under dotted names."""
    place = [str(part) for part in error["loc"] if not isinstance(part, int)]
    name = ".".join(part for part in place if part != "[key]")
    if error["type"] == "faults":
        return [(".".join(filter(None, (name, setting))), fact) for setting, fact in error["ctx"]["faults"]]
    return [(name, _NAME_RULE if place[-1:] == ["[key]"] else _words_for(error))]


def _words_for(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    message = error["msg"]
    words = _IN_WORDS.get(error["type"], message[:1].lower() + message[1:])
    if error["type"] == "literal_error":
        words += did_you_mean(str(error["input"]), re.findall(r"'([^']+)'", error["ctx"]["expected"]))
    return words


def can_render(template: str, key: str) -> bool:
    """Say whether some message can make this key out of a template."""
    parts = (".*" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", template))
    return re.fullmatch("".join(parts), key) is not None
