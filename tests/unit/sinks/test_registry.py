"""The table of sinks, and what a sink of another package needs to import."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from rfctl import sinks
from rfctl.errors import SettingsError
from rfctl.section import build_section
from rfctl.sinks.config import PluginSection, QueueConfig
from rfctl.sinks.contract import SinkSpec
from rfctl.sinks.redis import RedisSink
from rfctl.sinks.registry import SPECS, build_sink

HEAVY = ("aiohttp", "pydantic", "redis", "re2", "structlog", "tomli_w")


def test_every_type_has_one_spec_under_its_own_name() -> None:
    for kind, spec in SPECS.items():
        assert (kind,) == (spec.type,) == get_args(spec.config.model_fields["type"].annotation)


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.type)
def test_a_sink_is_built_from_its_example(spec: SinkSpec) -> None:
    settings = {"type": spec.type, **spec.example.settings}
    config = build_section(spec.config, settings, "sinks.x").with_redis_url("redis://h/0")
    sink = build_sink("x", config)
    assert isinstance(sink, RedisSink) == (spec.type in ("list", "stream"))
    if isinstance(config, QueueConfig):
        assert config.url == settings.get("url", "redis://h/0")


def test_a_type_whose_package_is_gone_is_an_error_that_names_the_others() -> None:
    gone = PluginSection(type="shout")
    with pytest.raises(SettingsError) as problem:
        build_sink("x", gone)
    assert problem.value.problems == ["sinks.x.type: there is no sink shout"]
    assert "list, stream, http" in problem.value.next


def test_the_plugin_api_imports_no_heavy_library() -> None:
    names = ", ".join(sinks.__all__)
    script = f"import sys; from rfctl.sinks import {names}; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
