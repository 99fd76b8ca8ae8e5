"""The settings as one table: every option with its dotted name, default, type and what it is for.

The documents, the example file, `config show` and the reading of the layers all go by this table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rfctl.config.settings import Settings
from rfctl.text import mask_url


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a table row: its dotted name, default, type, what it is for, and whether it is secret.

    `only` names the types of source or sink that read it (none: all of them). In a section that the operator
    names, the name has `NAME` in its place.
    """

    name: str
    default: Any
    kind: str
    about: str
    secret: bool
    only: tuple[str, ...] = ()

    def at(self, name: str) -> Option:
        """Return it under the name that a section really has."""
        return replace(self, name=name)

    @property
    def variable(self) -> str:
        """The name that the environment knows it by; `-` cannot stand in one."""
        return "RFCTL_" + self.name.replace(".", "__").replace("-", "_").upper()


def options(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Option]:
    """Yield every setting, in the order of the sections; `sources.NAME.type` for those that the operator names."""
    for name, info in model.model_fields.items():
        inner = info.annotation
        if named := _model_of_named(inner):
            yield from options(named, f"{prefix}{name}.NAME.")
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from options(inner, f"{prefix}{name}.")
        else:
            yield _option(prefix + name, info)


def _model_of_named(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a table of named sections, dict[Name, Model]."""
    last = (get_args(annotation) or (None,))[-1]
    named = get_origin(annotation) is dict and isinstance(last, type) and issubclass(last, BaseModel)
    return last if named else None


def _option(name: str, info: FieldInfo) -> Option:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    return Option(
        name=name,
        default=default,
        kind=_kind(info.annotation),
        about=info.description or "",
        secret=bool(extra.get("secret")),
        only=tuple(str(one) for one in cast("list[str]", extra.get("only", []))),
    )


_PLAIN = {int: "integer", str: "string", bool: "true or false"}


def _kind(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return "table"
    if origin is list:
        return f"list of {_kind(inner[0])}s"
    if origin is Annotated:
        return _kind(inner[0])
    choices = [one for one in inner if one is not type(None)] or [annotation]
    return _PLAIN.get(choices[0]) or " | ".join(str(choice) for choice in choices)


NAMED = ("sources", "rules", "sinks")
"""The sections whose names are the operator's."""


def template_of(name: str) -> str:
    """Return the name that the table of options has for a setting: `sources.salon.type` is `sources.NAME.type`."""
    section, dot, rest = name.partition(".")
    _, second, setting = rest.partition(".")
    return f"{section}.NAME.{setting}" if dot and second and section in NAMED else name


def configured(settings: Settings) -> Iterator[Option]:
    """Yield every setting that there is: the fixed ones, and those of each named section that its type reads."""
    for one in options():
        section, _, setting = one.name.partition(".NAME.")
        if not setting:
            yield one
            continue
        for name, inner in getattr(settings, section).items():
            if not one.only or getattr(inner, "type", "") in one.only:
                yield one.at(f"{section}.{name}.{setting}")


def value_of(settings: Settings, name: str) -> Any:
    """Return the value of a setting by its dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def shown(option: Option, value: Any) -> Any:
    """Return a value as it may be shown: a secret is masked, an empty one is not."""
    if not option.secret or not value:
        return value
    if isinstance(value, list):
        return ["•••"] * len(value)
    if isinstance(value, dict):
        return dict.fromkeys(value, "•••")
    if option.name.endswith(".url") and "://" in str(value):
        return mask_url(str(value))
    return "•••"
