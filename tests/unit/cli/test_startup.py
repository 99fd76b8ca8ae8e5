"""What starts the command line costs little: it imports only what `--help` and completion need."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rfctl.cli.app import COMMANDS, load_all_commands

OURS = {"rfctl", "rfctl.cli", "rfctl.cli.app", "rfctl.cli.context", "rfctl.errors"}
HEAVY = {
    "redis", "hiredis", "structlog", "pydantic", "re2", "msgspec", "aiohttp", "starlette", "uvicorn", "asyncio",
    "ssl", "urllib.request",
}  # fmt: skip
"""Typer itself imports pydantic too, as soon as an option has a value."""

PROBE = """
import sys
from rfctl.cli import main
sys.argv = ["rfctl", *sys.argv[1:]]
try:
    main()
finally:
    print("imported:", *sorted(sys.modules), file=sys.stderr)
"""


def imported_modules(*line: str, **variables: str) -> tuple[str, set[str]]:
    """Run a command line in a process of its own. Returns its stdout, and the modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *line],
        env={**os.environ, **variables, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    marker, *modules = done.stderr.splitlines()[-1].split()
    assert marker == "imported:", done.stderr
    return done.stdout, set(modules)


COMPLETION = {"_RFCTL_COMPLETE": "complete_bash", "COMP_WORDS": "rfctl st", "COMP_CWORD": "1"}


@pytest.mark.parametrize(
    ("line", "variables", "output"),
    [
        (["--version"], {}, "rfctl "),
        (["--help"], {}, "Throw away all that is pending"),
        ([], {}, "Throw away all that is pending"),
        ([], COMPLETION, "stats"),
        (
            [],
            {**COMPLETION, "COMP_WORDS": "rfctl --redis redis://h -o json res", "COMP_CWORD": "5"},
            "resume",
        ),
    ],
    ids=["version", "help", "nothing", "completion", "completion-after-options"],
)
def test_start_imports_only_the_table_of_commands(
    line: list[str], variables: dict[str, str], output: str
) -> None:
    printed, modules = imported_modules(*line, **variables)
    assert output in printed
    assert {name for name in modules if name.partition(".")[0] == "rfctl"} == OURS
    assert modules & HEAVY == set()


def test_stats_imports_no_server_and_no_receiver() -> None:
    _, modules = imported_modules("stats", "--redis", "redis://127.0.0.1:1/0")
    heavy = {
        "aiohttp",
        "starlette",
        "uvicorn",
        "structlog",
        "rich.live",
        "rich.progress",
        "jwt",
    }
    assert modules & heavy == set()


def test_a_command_begins_its_help_as_the_table_says() -> None:
    table = load_all_commands()
    for name, (_, first_line) in COMMANDS.items():
        assert inspect.cleandoc(table.commands[name].help or "").splitlines()[0] == first_line
        assert table.commands[name].name == name


def test_a_word_that_is_no_command_is_refused_with_a_near_one() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rfctl", "stat"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "No such command" in done.stderr
