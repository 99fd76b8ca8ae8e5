"""The settings as one table: every option with its dotted name, default, type and description.

The documents, the example file, `config show` and the reading of the layers all go by this table. It is derived
from the models, so that a new setting, or a new type of source or sink, is in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rfctl.config.settings import EMBEDDED, Settings
from rfctl.config.unions import BASES, MODELS, model_for
from rfctl.sinks.config import PluginSection
from rfctl.text import mask_url

NAMED = tuple(BASES)
"""The sections whose names are the operator's."""
OF_OTHER_PACKAGES = "types of other packages"
_PLAIN = {int: "integer", str: "string", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as a table row: its dotted name, default, type, description, and whether it is secret.

    `only` names the types of source or sink that read it (none: all of them). `example` is a value that says more
    than the default. In a section that the operator names, the name has `NAME` in its place.
    """

    name: str
    default: Any
    kind: str
    about: str
    secret: bool
    only: tuple[str, ...] = ()
    example: Any = None

    def at(self, name: str) -> Option:
        """Return it under the name that a section really has."""
        return replace(self, name=name)

    @property
    def variable(self) -> str:
        """The name that the environment knows it by; `-` cannot stand in one."""
        return "RFCTL_" + self.name.replace(".", "__").replace("-", "_").upper()


def list_options() -> Iterator[Option]:
    """Yield every setting, in the order of the sections; `sources.NAME.type` for those that the operator names."""
    yield from option_table().values()


@cache
def option_table() -> Mapping[str, Option]:
    """Return every setting by its name in the table."""
    rows = [row for section in Settings.model_fields for row in _rows(section)]
    return {row.name: row for row in rows}


def _rows(section: str) -> Iterator[Option]:
    if section in BASES:
        yield from _rows_of_named(section)
        return
    model = Settings.model_fields[section].annotation
    if isinstance(model, type) and issubclass(model, BaseModel):
        yield from (_option(f"{section}.{name}", info) for name, info in model.model_fields.items())


def _rows_of_named(section: str) -> Iterator[Option]:
    """Yield the settings of all sections, then those that only some types read, each once."""
    models: dict[str, type[BaseModel]] = {**MODELS[section]}
    for name, info in BASES[section].model_fields.items():
        row = _option(f"{section}.NAME.{name}", info)
        yield replace(row, kind=" | ".join(models)) if name == "type" and section == "sources" else row
    if section == "sinks":
        models[OF_OTHER_PACKAGES] = PluginSection
    readers: dict[str, dict[str, FieldInfo]] = {}
    for kind, model in models.items():
        for name, info in model.model_fields.items():
            if name not in BASES[section].model_fields:
                readers.setdefault(name, {})[kind] = info
    yield from (_merge_rows(f"{section}.NAME.{name}", infos) for name, infos in readers.items())


def _merge_rows(name: str, infos: Mapping[str, FieldInfo]) -> Option:
    """Return the row of a setting that several types read; where they describe it differently, each says its own."""
    abouts: dict[str, list[str]] = {}
    for kind, info in infos.items():
        if info.description:
            abouts.setdefault(info.description, []).append(kind)
    about = " ".join(f"{', '.join(kinds)}: {text}" for text, kinds in abouts.items())
    first = next(info for info in infos.values() if info.description)
    row = _option(name, first)
    return replace(row, about=about if len(abouts) > 1 else row.about, only=tuple(infos))


def _option(name: str, info: FieldInfo) -> Option:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    default = None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    return Option(
        name=name,
        default=default,
        kind=_kind(info.annotation),
        about=info.description or "",
        secret=bool(extra.get("secret")),
        example=info.examples[0] if info.examples else default,
    )


def _kind(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return "table"
    if origin is list:
        kind = _kind(inner[0])
        return f"list of {kind}" if " | " in kind else f"list of {kind}s"
    if origin is Annotated:
        return _kind(inner[0])
    choices = [choice for choice in inner if choice is not NoneType] or [annotation]
    if any(get_origin(choice) is dict for choice in choices):
        return " or ".join(map(_kind, choices))
    if len(choices) > 1 and all(choice in _PLAIN for choice in choices):
        return " or ".join(_PLAIN[choice] for choice in choices)
    return _PLAIN.get(choices[0]) or " | ".join(str(choice) for choice in choices)


def template_of(name: str) -> str:
    """Return the name that the table of options has for a setting: `sources.salon.type` is `sources.NAME.type`."""
    section, dot, rest = name.partition(".")
    _, second, setting = rest.partition(".")
    return f"{section}.NAME.{setting}" if dot and second and section in NAMED else name


def find_option(name: str) -> Option:
    """Return the table row of a setting, under its own name; raises KeyError."""
    return option_table()[template_of(name)].at(name)


def configured_options(settings: Settings) -> Iterator[Option]:
    """Yield every setting that there is: the fixed ones, and those of each named section that its type reads."""
    for option in list_options():
        section, _, setting = option.name.partition(".NAME.")
        if not setting:
            yield option
            continue
        for name, config in getattr(settings, section).items():
            if setting in model_for(section, getattr(config, "type", "")).model_fields:
                yield option.at(f"{section}.{name}.{setting}")


def value_of(settings: Settings, name: str) -> Any:
    """Return the value of a setting by its dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def is_default(settings: Settings, name: str) -> bool:
    """Say whether a setting has the value that it has when nobody sets it; one that must be set never has."""
    section, _, setting = name.rpartition(".")
    info = type(value_of(settings, section)).model_fields[setting]
    if info.is_required():
        return False
    return bool(value_of(settings, name) == info.get_default(call_default_factory=True, validated_data={}))


def mask_value(option: Option, value: Any) -> Any:
    """Return a value as it may be shown: a secret is masked, an empty one is not."""
    if not option.secret or not value or value == EMBEDDED:
        return value
    if isinstance(value, list):
        return ["•••"] * len(value)
    if isinstance(value, dict):
        return dict.fromkeys(value, "•••")
    if option.name.endswith(".url") and "://" in str(value):
        return mask_url(str(value))
    return "•••"
