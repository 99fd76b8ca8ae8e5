"""The table of sources: each spec fits its model, and what is optional is so for every source."""

from __future__ import annotations

from typing import get_args

import pytest

from rfctl.section import build_section
from rfctl.sources.contract import Request, Source, SourceSpec
from rfctl.sources.registry import GENERIC, SPECS


def source_of(spec: SourceSpec) -> Source:
    settings = {"type": spec.type, **spec.examples[0].settings}
    return spec.build_source("x", build_section(spec.config, settings, "sources.x"), 100)


def test_every_type_has_one_spec_under_its_own_name() -> None:
    for kind, spec in SPECS.items():
        assert (kind,) == (spec.type,) == get_args(spec.config.model_fields["type"].annotation)
    assert GENERIC in SPECS


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.type)
def test_a_source_is_built_from_its_example_and_verifies_nothing_empty(spec: SourceSpec) -> None:
    source = source_of(spec)
    assert isinstance(source, Source)
    assert not source.verify(Request("POST", "/webhook/x", "", {}, b""), 0)


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.type)
def test_source_with_a_handshake_has_a_hint_for_it(spec: SourceSpec) -> None:
    config = build_section(spec.config, {"type": spec.type, **spec.examples[0].settings}, "sources.x")
    has_handshake = type(source_of(spec)).handshake is not Source.handshake
    assert bool(config.handshake_hint("x")) == has_handshake
    assert source_of(spec).handshake(Request("GET", "/webhook/x", "hub.challenge=1", {}, b"")) is None


def test_only_the_operators_own_caller_is_answered_in_words() -> None:
    settings = {"type": "generic", "map": {"phone": "p", "text": "t"}}
    generic = SPECS[GENERIC].config
    assert build_section(generic, {"type": "generic"}, "").answers_in_words
    assert not build_section(generic, settings, "").answers_in_words
