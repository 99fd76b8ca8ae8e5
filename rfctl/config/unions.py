"""One section of any type: the settings models of all sources, and of all sinks, chosen by `type`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import AfterValidator, Discriminator, Tag

from rfctl.config.rules import RuleSettings
from rfctl.section import Section
from rfctl.sinks import registry as sinks
from rfctl.sinks.config import PluginSection, SinkConfig
from rfctl.sources import registry as sources
from rfctl.sources.config import SourceConfig
from rfctl.text import did_you_mean

_OTHER = "other"
"""The tag of a section whose type is in no table. No type may have this name."""
BASES: dict[str, type[Section]] = {"sources": SourceConfig, "rules": RuleSettings, "sinks": SinkConfig}
"""The sections whose names are the operator's, and the settings that each of their sections has."""
MODELS: dict[str, dict[str, type[Section]]] = {
    "sources": {spec.type: spec.config for spec in sources.SPECS.values()},
    "rules": {},
    "sinks": {spec.type: spec.config for spec in sinks.SPECS.values()},
}
"""For each of them its types and their models."""


def _refuse_type(section: str, kind: str, types: list[str]) -> ValueError:
    near = did_you_mean(kind, types) or f"; there is {', '.join(types)}"
    return ValueError(f"there is no {section} {kind}{near}")


def _is_source(kind: str) -> str:
    raise _refuse_type("source", kind, list(sources.SPECS))


def _is_sink(kind: str) -> str:
    if kind not in sinks.list_types():
        raise _refuse_type("sink", kind, sinks.list_types())
    return kind


class _OtherSource(SourceConfig):
    type: Annotated[str, AfterValidator(_is_source)]


class _OtherSink(PluginSection):
    type: Annotated[str, AfterValidator(_is_sink)]


_OTHERS: dict[str, type[Section]] = {"sources": _OtherSource, "sinks": _OtherSink}


def model_for(section: str, kind: object) -> type[Section]:
    """Return the model of a section of this type."""
    model = MODELS[section].get(kind) if isinstance(kind, str) else None
    return model or _OTHERS.get(section, BASES[section])


def types_of(section: str) -> list[str]:
    """Return the types that a section of this kind can have, those of other packages too."""
    return sinks.list_types() if section == "sinks" else list(MODELS[section])


def _union(section: str) -> Any:
    models: Mapping[str, type[Section]] = {**MODELS[section], _OTHER: _OTHERS[section]}

    def tag_of(value: Any) -> str:
        kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
        return kind if isinstance(kind, str) and kind in models else _OTHER

    tagged = tuple(Annotated[model, Tag(kind)] for kind, model in models.items())
    return Annotated[Union[tagged], Discriminator(tag_of)]  # noqa: UP007 - the members are counted at run time


if TYPE_CHECKING:
    AnySource = SourceConfig
    AnySink = SinkConfig
else:
    AnySource = _union("sources")
    AnySink = _union("sinks")
