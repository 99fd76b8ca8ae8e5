"""docs/recipes: all settings are right, all programs and commands are understood, and the workflow of n8n is whole."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from rfctl.assembly.check import find_problems
from rfctl.cli.app import load_all_commands
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.errors import SettingsError
from tests.support.recipes import FOLDER, ROOT, Recipe, list_blocks

NAMES = sorted(path.stem for path in FOLDER.glob("*.md"))
PAGES = [*sorted(FOLDER.glob("*.md")), ROOT / "docs" / "moving.md"]


def blocks(kind: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(list_blocks(page.read_text(), kind), 1)
    ]


async def find_faults(text: str, folder: Path) -> list[str]:
    """Return what `rfctl config check` has against settings."""
    file = folder / "c.toml"
    file.write_text(text)
    return await find_problems(load(Environment({"HOME": str(folder)}), file=file).settings)


def test_index_and_readme_lead_to_every_recipe() -> None:
    index = (FOLDER / "README.md").read_text()
    assert {f"{name}.md" for name in NAMES if name != "README"} == set(
        re.findall(r"\| \[[^]]+\]\((\S+)\)", index)
    )
    assert "(docs/recipes/README.md)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("text", blocks("toml"))
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


def find_command_fault(line: str) -> str:
    """Return what rfctl has against a command line; "" for nothing."""
    words = shlex.split(line, comments=True)[1:]
    command: Any = load_all_commands()
    while hasattr(command, "commands") and (sub := command.commands.get(words[:1][0] if words else "")):
        command, words = sub, words[1:]
    # These two may stand anywhere, before and behind the command.
    words = re.sub(r"--(config|redis) \S+", "", " ".join(words)).split()
    try:
        command.make_context("rfctl", words)
    except Exception as problem:
        return str(problem) or type(problem).__name__
    return ""


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands_are_understood(text: str) -> None:
    lines = [line for line in text.splitlines() if line.startswith("rfctl ")]
    assert [fault for line in lines if (fault := find_command_fault(line))] == []


def test_wrong_command_is_noticed() -> None:
    assert "--cuont" in find_command_fault("rfctl simulate --cuont 3 --config x.toml")


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
