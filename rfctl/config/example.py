"""Settings files to begin with: config.example.toml with everything in it, and one for chosen types.

In config.example.toml, lines that may be taken over stand behind `# ` in the fixed sections and behind `#   ` in
those that the operator names. Everything else behind a `#` is talk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rfctl.config.options import NAMED, Option, list_options
from rfctl.config.rules import EXAMPLES
from rfctl.config.toml_text import render_toml_section, render_toml_value
from rfctl.errors import UsageError
from rfctl.section import Example
from rfctl.sinks import registry as sinks
from rfctl.sources import registry as sources
from rfctl.text import did_you_mean

_HEAD = """\
# rfctl: every setting with its default. Take away the # to change one.
# RFCTL_SECTION__NAME in the environment overrides this file. `rfctl config show` says who set each value."""
_STARTER_HEAD = """\
# rfctl: fill in your own secrets and addresses. `rfctl config check` says what is still wrong.
# `rfctl config init --stdout` prints every setting."""
_INTRODUCTIONS = {
    "sources": "# Where messages come from: POST /webhook/NAME. Without any section there is one source, generic.",
    "rules": """\
# Messages that need other timers or an action. rfctl asks the rules in their order. For each timer, and for action, the
# first matching rule that sets it wins.""",
    "sinks": """\
# Where merged messages go. Without any section they stay in output.stream, for workers with a consumer group of their own.""",
}


def list_examples(section: str) -> list[Example]:
    """Return the examples of a kind of named section, with the type in their settings."""
    if section == "sources":
        return [_typed(spec.type, example) for spec in sources.SPECS.values() for example in spec.examples]
    if section == "sinks":
        return [_typed(spec.type, spec.example) for spec in sinks.SPECS.values()]
    return list(EXAMPLES)


def _typed(kind: str, example: Example) -> Example:
    return Example(example.title, example.name, {"type": kind, **example.settings})


def render_example() -> str:
    """Return config.example.toml."""
    fixed = [option for option in list_options() if ".NAME." not in option.name]
    blocks = [_HEAD, *_fixed(fixed)]
    for section in NAMED:
        blocks += [_ready(section), _every_setting(section)]
    return "\n\n".join(blocks) + "\n"


def _fixed(rows: Sequence[Option]) -> Iterator[str]:
    for section in dict.fromkeys(option.name.partition(".")[0] for option in rows):
        lines = [f"[{section}]"]
        for option in rows:
            place, _, name = option.name.rpartition(".")
            if place == section:
                lines += [
                    f"# {option.about} ({option.kind})",
                    f"# {name} = {render_toml_value(option.default)}",
                ]
        yield "\n".join(lines)


def _ready(section: str) -> str:
    blocks = [_INTRODUCTIONS[section]]
    for example in list_examples(section):
        lines = render_toml_section(f"{section}.{example.name}", example.settings).splitlines()
        blocks.append("\n".join([f"# {example.title}", *(f"#   {line}" for line in lines)]))
    return "\n#\n".join(blocks)


def _every_setting(section: str) -> str:
    lines = [f"# Every setting of a section of {section}:", f"# [{section}.NAME]"]
    for option in list_options():
        place, _, name = option.name.rpartition(".")
        if place == f"{section}.NAME":
            lines += [
                f"# {option.about} ({_facts(option)})",
                f"#   {name} = {render_toml_value(option.example)}",
            ]
    return "\n".join(lines)


def _facts(option: Option) -> str:
    facts = [option.kind]
    if option.only:
        facts.append(f"for {', '.join(option.only)}")
    if option.name.endswith(".type"):
        facts.append("needed")
    elif option.default is None:
        facts.append("unset by default")
    elif option.example != option.default:
        facts.append("empty by default")
    return "; ".join(facts)


def render_starter(source_types: Sequence[str], sink_types: Sequence[str]) -> str:
    """Return a settings file for these types alone, with the values of their examples. Raises UsageError."""
    ready_sources = {kind: _typed(kind, spec.examples[0]) for kind, spec in sources.SPECS.items()}
    ready_sinks = {kind: _typed(kind, spec.example) for kind, spec in sinks.SPECS.items()}
    for kind in sinks.list_types():
        ready_sinks.setdefault(kind, Example("A sink of another package", kind, {"type": kind}))
    blocks = [
        *_chosen("source", source_types, ready_sources),
        *_chosen("sink", sink_types, ready_sinks),
    ]
    return "\n\n".join([_STARTER_HEAD, *blocks]) + "\n"


def _chosen(noun: str, types: Sequence[str], ready: Mapping[str, Example]) -> Iterator[str]:
    names: list[str] = []
    for kind in types:
        if kind not in ready:
            fact = f"there is no {noun} of type {kind}{did_you_mean(kind, ready)}"
            raise UsageError(fact, next=f"use {', '.join(ready)}")
        example = ready[kind]
        names.append(example.name)
        count = names.count(example.name)
        name = example.name if count == 1 else f"{example.name}-{count}"
        yield f"# {example.title}\n" + render_toml_section(f"{noun}s.{name}", example.settings)
