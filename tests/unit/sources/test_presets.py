"""What every preset promises of the bodies of its gateway. A new preset adds its two files, and nothing here."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rfctl.sources.contract import ParseResult, Source, UnparsedError
from rfctl.sources.generic.elements import split_lists
from rfctl.sources.generic.json_path import Place, find_value
from rfctl.sources.generic.map_check import drop_empty
from rfctl.sources.generic.mapped import Mapped
from rfctl.sources.presets import FOLDER
from rfctl.sources.registry import SPECS
from tests.support.gateway_table import build_row
from tests.support.presets import (
    KINDS,
    PROOF,
    Gateway,
    build_request,
    build_source,
    find_answer,
    list_gateways,
    load_config,
)
from tests.support.recorded import Case, check, check_stored, check_unparsed

PAGES = Path(__file__).parents[3] / "docs"
GATEWAYS = list_gateways()
CASES = [(gateway, case) for gateway in GATEWAYS for case in gateway.list_cases()]
QUICK, LONG = 300, 50_000


def name_of(value: Any) -> str:
    return value.preset if isinstance(value, Gateway) else str(value)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    folder = tmp_path_factory.mktemp("presets")
    return {gateway.preset: build_source(load_config(gateway, folder)) for gateway in GATEWAYS}


@pytest.mark.parametrize(("gateway", "case"), CASES, ids=name_of)
def test_body_of_a_gateway_is_read_as_its_file_says(
    sources: dict[str, Source], gateway: Gateway, case: Case
) -> None:
    reading = check(sources[gateway.preset], case)
    check_stored(reading)
    check_unparsed(sources[gateway.preset], reading)


@pytest.mark.parametrize("gateway", GATEWAYS, ids=name_of)
def test_request_of_a_gateway_proves_itself_as_its_file_says(gateway: Gateway, tmp_path: Path) -> None:
    config = load_config(gateway, tmp_path)
    source = SPECS[config.type].build_source("here", config, 65_536)
    for entry in gateway.proofs:
        verified = source.verify(build_request(entry), entry.get("now_ms", 0))
        assert verified is entry["verified"], entry["case"]
    verdicts = {entry["verified"] for entry in gateway.proofs}
    assert verdicts == (set() if PROOF in gateway.without else {True, False})
    for entry in gateway.handshakes:
        assert find_answer(source, entry) == entry["answer"], entry["case"]
    answers = {entry["answer"] is None for entry in gateway.handshakes}
    assert answers in (set(), {True, False})


@pytest.mark.parametrize("gateway", GATEWAYS, ids=name_of)
def test_gateway_has_a_body_of_each_kind_or_says_why_not(gateway: Gateway) -> None:
    kinds = {entry["kind"] for entry in gateway.bodies}
    assert kinds <= set(KINDS)
    assert set(KINDS) - kinds == set(gateway.without) - {PROOF}
    names = [entry["case"] for entry in gateway.bodies]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("gateway", GATEWAYS, ids=name_of)
def test_each_path_of_a_preset_leads_somewhere_in_some_body(
    sources: dict[str, Source], gateway: Gateway
) -> None:
    source = sources[gateway.preset]
    if not isinstance(source, Mapped):
        return
    missing = set(list_places(source))
    for case in gateway.list_cases():
        try:
            top = json.loads(case.body)
        except ValueError:
            continue
        for stack in list_stacks(source, case.body, top):
            missing -= {place for place in missing if leads_somewhere(stack, place)}
    assert missing == set()


def list_places(source: Mapped) -> list[Place]:
    return [*source._facts.places, *source._skips.places]


def list_stacks(source: Mapped, body: bytes, top: Any) -> list[list[Any]]:
    """Return what stands around each message, and the body alone: conditions may be asked of it without a list."""
    if not source._has_lists:
        return [[top]]
    return [[top], *(element.stack for element in source._walk.find_elements(body, top).messages)]


def leads_somewhere(stack: list[Any], place: Place) -> bool:
    base, steps = place
    if base >= len(stack):
        return False
    if "*" not in steps:
        return find_value(stack[base], steps) not in (None, "")
    star = steps.index("*")
    items = find_value(stack[base], steps[:star])
    return isinstance(items, list) and any(find_value(item, steps[star + 1 :]) for item in items)


@pytest.mark.parametrize("gateway", GATEWAYS, ids=name_of)
def test_preset_says_of_whom_it_is_and_where_that_is_documented(gateway: Gateway) -> None:
    text = (FOLDER / f"{gateway.preset}.toml").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "\n# https://" in text
    assert "secrets" not in text.split("\n[map]")[0].replace("# ", "")


@pytest.mark.parametrize("gateway", GATEWAYS, ids=name_of)
def test_table_of_gateways_has_its_row(gateway: Gateway) -> None:
    page = (PAGES / "gateways.md").read_text(encoding="utf-8")
    assert f"\n{build_row(gateway)}" in page, "python -m tests.support.documents --write"


@pytest.mark.parametrize("gateway", GATEWAYS, ids=name_of)
def test_no_mutated_body_raises_or_is_left_out_of_the_counts(
    sources: dict[str, Source], gateway: Gateway
) -> None:
    fuzz(sources[gateway.preset], gateway, QUICK)


@pytest.mark.long
@pytest.mark.parametrize("gateway", GATEWAYS, ids=name_of)
def test_none_of_many_mutated_bodies_raises_or_is_left_out_of_the_counts(
    sources: dict[str, Source], gateway: Gateway
) -> None:
    fuzz(sources[gateway.preset], gateway, LONG)


def fuzz(source: Source, gateway: Gateway, count: int) -> None:
    chance = random.Random(gateway.preset)
    bodies = [case.body for case in gateway.list_cases()]
    for _ in range(count):
        body = mutate(chance.choice(bodies), chance)
        try:
            reading = source.parse(body)
        except UnparsedError as problem:
            assert problem.fact
            continue
        check_stored(reading)
        check_unparsed(source, reading)
        if isinstance(source, Mapped):
            check_counts(source, body, reading)


def check_counts(source: Mapped, body: bytes, reading: ParseResult) -> None:
    """Hold each message of a body to one outcome, and a body without a list of them to be counted."""
    lists = split_lists(drop_empty(source._config.map).get("each", ""))
    leaves, without = count_leaves(json.loads(body), lists)
    unread = reading.skipped.get("unread", 0)
    outcomes = len(reading.messages) + sum(reading.skipped.values()) - unread + len(reading.unparsed)
    assert outcomes == leaves, (body, reading)
    assert unread >= without, (body, reading)


def count_leaves(value: Any, lists: list[tuple[str, ...]], depth: int = 0) -> tuple[int, int]:
    """Return how many messages a body has, and how many elements without the list that they should have.

    A thing where messages should be counts as a message, and so does a body without a list of them. It reads no map, so it
    is another opinion than that of the code.
    """
    if depth == len(lists):
        return 1, 0
    if not (depth or lists[0]) and isinstance(value, dict):
        value = [value]  # a single one without its list
    inner = value
    for step in lists[depth]:
        if isinstance(inner, dict):
            inner = inner.get(step)
        elif isinstance(inner, list) and step.isdigit():
            inner = inner[int(step)] if int(step) < len(inner) else None
        else:
            return 1, 0
        if inner is None:
            return (0, 1) if depth else (1, 0)
    if not isinstance(inner, list):
        return 1, 0
    counts = [count_leaves(item, lists, depth + 1) for item in inner]
    return sum(leaves for leaves, _ in counts), sum(without for _, without in counts)


SCALARS: tuple[Any, ...] = (
    None, True, False, 0, -1, 7.5, 1e30, "", " ", "*", "x", "false", "1" * 300, "\ud83d", [], {}, [[]], [{}], {"": 0},
)  # fmt: skip


def mutate(body: bytes, chance: random.Random) -> bytes:
    """Return the body with a few things changed: most are JSON of another shape, some are no JSON."""
    try:
        value = json.loads(body)
    except ValueError:
        return mutate_bytes(body, chance)
    for _ in range(chance.randint(1, 4)):
        places = list(walk(value))
        holder, key = chance.choice(places) if places else (None, None)
        if holder is not None:
            change(holder, key, chance, places)
    encoded = json.dumps(value).encode()
    return mutate_bytes(encoded, chance) if chance.random() < 0.05 else encoded


def walk(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container with each of its keys or indexes."""
    if isinstance(value, dict):
        keys: Any = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    else:
        return
    for key in keys:
        yield value, key
        yield from walk(value[key])


def change(holder: Any, key: Any, chance: random.Random, places: list[tuple[Any, Any]]) -> None:
    kind = chance.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = json.loads(json.dumps(chance.choice(SCALARS)))
    elif kind == 2:
        other, name = chance.choice(places)
        if (isinstance(other, dict) and name in other) or (isinstance(other, list) and name < len(other)):
            holder[key] = json.loads(json.dumps(other[name]))
    elif kind == 3:
        holder[key] = [holder[key], json.loads(json.dumps(chance.choice(SCALARS)))]
    elif isinstance(holder, list):
        holder.append(json.loads(json.dumps(holder[key])))
    else:
        holder[chance.choice(("id", "text", "type", "statuses", "*", "each"))] = holder[key]


def mutate_bytes(body: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(body) + 1)
    return chance.choice(
        (body[:place], body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :], body[place:])
    )
