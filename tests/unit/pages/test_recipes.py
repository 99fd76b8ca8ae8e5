"""The pages with set-ups: all settings are right, all programs are understood, and the workflow of n8n is whole."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.check import find_problems
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.errors import SettingsError
from tests.support.recipes import FOLDER, ROOT, Recipe, list_blocks

NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))
PAGES = [
    *sorted(FOLDER.glob("*.md")),
    ROOT / "docs" / "moving.md",
    *(
        page
        for folder in ("tutorial", "how-to", "operations", "explanation")
        for page in sorted((ROOT / "docs" / folder).rglob("*.md"))
    ),
]
OF_OTHER_PACKAGES = {"your-own"}
"""Pages whose sink is a package of the reader's: there is no such type here."""
OF_THIS_MACHINE = "is not found, or may not be run"
"""A page may name a program that is not here."""


def blocks(kind: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(list_blocks(page.read_text(), kind), 1)
    ]


@pytest.mark.parametrize("block", [*blocks("python"), *blocks("js"), *blocks("sh")])
def test_program_finds_redis_by_the_variable_that_rfctl_reads(block: str) -> None:
    assert re.findall(r"\bREDIS_URL\b", block) == []


def is_of_rfctl(block: Any) -> bool:
    """Say whether the settings of a block need no other package."""
    return str(block.id).rpartition("-")[0] not in OF_OTHER_PACKAGES


async def find_faults(text: str, folder: Path) -> list[str]:
    """Return what `rfctl config check` has against settings."""
    file = folder / "c.toml"
    file.write_text(text)
    problems = await find_problems(load(Environment({"HOME": str(folder)}), file=file).settings)
    return [problem for problem in problems if not problem.endswith(OF_THIS_MACHINE)]


def test_index_and_readme_lead_to_every_recipe() -> None:
    index = (FOLDER / "README.md").read_text()
    assert {f"{name}.md" for name in NAMES if name != "README"} == set(
        re.findall(r"\| \[[^]]+\]\((\S+)\)", index)
    )
    assert "(docs/recipes/README.md)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("text", [each for each in blocks("toml") if is_of_rfctl(each)])
async def test_settings_pass_the_check(text: str, tmp_path: Path) -> None:
    assert await find_faults(text, tmp_path) == []


async def test_check_finds_a_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        await find_faults('[sources.x]\ntype = "evolutoin"\n', tmp_path)


@pytest.mark.parametrize("program", blocks("python"))
def test_programs_are_python(program: str) -> None:
    compile(ast.parse(program), "page", "exec")


@pytest.mark.parametrize("program", blocks("python"))
def test_workers_ask_again_before_redis_py_gives_up(program: str) -> None:
    """Since its version 8, redis-py waits 5 s for an answer; a longer block would end the worker in a quiet hour."""
    assert re.findall(r"block=(\d+)", program) == ["1000"] * program.count("xreadgroup")


WORKFLOW = json.loads(Recipe("n8n").take("json", '"nodes"'))
NODES: dict[str, dict[str, Any]] = {node["name"]: node for node in WORKFLOW["nodes"]}


def find_next(name: str) -> list[str]:
    """Return the nodes that get the output of this one."""
    outputs = WORKFLOW["connections"].get(name, {"main": []})["main"]
    return [link["node"] for output in outputs for link in output]


def find_reached(name: str) -> set[str]:
    """Return every node of a run that begins here."""
    return {name}.union(*map(find_reached, find_next(name)))


def is_trigger(node: dict[str, Any]) -> bool:
    return str(node["type"]).endswith(".webhook")


def test_n8n_can_import_the_workflow() -> None:
    assert set(WORKFLOW) == {"name", "nodes", "connections", "settings"}
    assert len(NODES) == len({node["id"] for node in WORKFLOW["nodes"]}) == len(WORKFLOW["nodes"])
    for node in NODES.values():
        assert set(node) - {"webhookId"} == {"id", "name", "type", "typeVersion", "position", "parameters"}
        assert node["type"].startswith("n8n-nodes-base.")
        assert len(node["position"]) == 2
        assert is_trigger(node) == ("webhookId" in node)
    links = [
        link for outputs in WORKFLOW["connections"].values() for output in outputs["main"] for link in output
    ]
    assert all(link["type"] == "main" and link["index"] == 0 for link in links)
    assert set(WORKFLOW["connections"]) | {link["node"] for link in links} == set(NODES)


def test_every_node_of_n8n_is_reached_from_a_webhook_that_gets_its_answer() -> None:
    triggers = [name for name, node in NODES.items() if is_trigger(node)]
    assert set().union(*map(find_reached, triggers)) == set(NODES)
    for name in triggers:
        kinds = {NODES[each]["type"] for each in find_reached(name)}
        waits = NODES[name]["parameters"]["responseMode"] == "responseNode"
        assert waits == ("n8n-nodes-base.respondToWebhook" in kinds), name
    assert len({NODES[name]["parameters"]["path"] for name in triggers}) == len(triggers)
