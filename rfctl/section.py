"""What every section of the settings is made of."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

SECRET: dict[str, Any] = {"secret": True}


def only(*types: str, secret: bool = False) -> dict[str, Any]:
    """Mark a setting as one that only these types of source or sink read."""
    return {"only": list(types), "secret": secret}


def _listed(value: Any) -> Any:
    """Read a list in the environment or in a credential: one a line, or with commas; and one word as a list of it."""
    if isinstance(value, str):
        return [part.strip() for part in re.split(r"[\n,]", value) if part.strip()]
    return value


Words = Annotated[list[str], BeforeValidator(_listed)]
Numbers = Annotated[list[int], BeforeValidator(_listed)]


class Section(BaseModel):
    """A section of the settings: closed, so that a slip of the pen is an error and not silence."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def reads_only_its_own(section: Section) -> None:
    """Refuse a setting that the section's type does not read. Raises ValueError."""
    kind = getattr(section, "type", "")
    for name in sorted(section.model_fields_set):
        extra = type(section).model_fields[name].json_schema_extra
        wanted = extra.get("only") if isinstance(extra, dict) else None
        if isinstance(wanted, list) and kind not in wanted:
            raise ValueError(f"{name} is not for type {kind}, but for {', '.join(map(str, wanted))}")
