"""What every section of the settings is made of, and how what is wrong with one is said."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import ErrorDetails, PydanticCustomError

DAY_MS = 86_400_000
SECRET: dict[str, Any] = {"secret": True}
Fault = tuple[str, str]
"""The name of a setting ("": the section itself), and what is wrong with it."""
_NAME_RULE = "a name is lower-case letters and digits, with single - or _ between them, at most 32"
_IN_WORDS = {
    "dict_type": "write a table (in a variable or a credential as JSON)",
    "model_type": "write a section",
    "string_type": "write a text, in quotes",
    "missing": "is missing",
}


def only(*types: str, secret: bool = False) -> dict[str, Any]:
    """Mark a setting as one that only these types of source or sink read."""
    return {"only": list(types), "secret": secret}


def parse_list(value: Any) -> Any:
    """Read a list in the environment or in a credential: one a line, or with commas; and one word as a list of it."""
    parts = listed_to_the_end(value)
    return [part.rstrip() for part in parts] if isinstance(value, str) else parts


def listed_to_the_end(value: Any) -> Any:
    """Read such a list of words in which the white space at the end counts."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        raise ValueError("it begins like a list in JSON, and is none")
    if isinstance(value, str):
        return [part.lstrip() for part in re.split(r"[\n,]", value) if part.strip()]
    return value


def parse_lines(value: Any) -> Any:
    """Read a list whose words may have commas: one a line."""
    return value.splitlines() if isinstance(value, str) else value


def _worded(value: Any) -> Any:
    """Read a number as a text: companies are often numbers."""
    return str(value) if type(value) is int else value


Word = Annotated[str, BeforeValidator(_worded)]
Words = Annotated[list[Word], BeforeValidator(parse_list)]
Numbers = Annotated[list[int], BeforeValidator(parse_list)]
# No two underscores in a row: they part the names of a variable.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$", max_length=32)]


class Section(BaseModel):
    """A section of the settings: closed, so that a slip of the pen is an error and not silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def unexpected_fields(section: Section) -> list[Fault]:
    """Return the settings that were made and that the section's type does not read."""
    kind = getattr(section, "type", "")
    faults = []
    for name in sorted(section.model_fields_set):
        extra = type(section).model_fields[name].json_schema_extra
        wanted = extra.get("only") if isinstance(extra, dict) else None
        if isinstance(wanted, list) and kind not in wanted:
            faults.append((name, f"is not for type {kind}, but for {', '.join(map(str, wanted))}"))
    return faults


def raise_faults(faults: Sequence[Fault]) -> None:
    """Refuse a section for all that is wrong with it. Raises pydantic's error, which `faults_of` takes apart again."""
    if faults:
        text = "; ".join(f"{name}: {problem}" if name else problem for name, problem in faults)
        raise PydanticCustomError("faults", "{text}", {"text": text, "faults": list(faults)})


def faults_of(error: ErrorDetails) -> list[Fault]:
    """Return what one of pydantic's errors says, in words, under dotted names."""
    place = [str(part) for part in error["loc"] if not isinstance(part, int)]
    name = ".".join(part for part in place if part != "[key]")
    if error["type"] == "faults":
        return [(".".join(filter(None, (name, setting))), said) for setting, said in error["ctx"]["faults"]]
    return [(name, _NAME_RULE if place[-1] == "[key]" else _words(error))]


def _words(error: ErrorDetails) -> str:
    said = error["msg"].removeprefix("Value error, ")
    said = _IN_WORDS.get(error["type"], said[:1].lower() + said[1:])
    if error["type"] == "literal_error":
        said += did_you_mean(str(error["input"]), re.findall(r"'([^']+)'", error["ctx"]["expected"]))
    return said


def did_you_mean(written: str, known: Sequence[str]) -> str:
    """Return a hint to be put behind a fact: the known word that is nearest, or ""."""
    near = difflib.get_close_matches(written, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def can_render(template: str, key: str) -> bool:
    """Say whether a template can become this key, whatever a message puts into its places."""
    parts = (".*" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{\w+\})", template))
    return re.fullmatch("".join(parts), key) is not None
