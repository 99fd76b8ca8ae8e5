"""What starts the command line costs little: it imports only what `--help` and completion need."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rfctl.cli.app import COMMANDS, load_all_commands
from rfctl.cli.panels import PANELS

OURS = {
    "rfctl", "rfctl.cli", "rfctl.cli.app", "rfctl.cli.context", "rfctl.cli.help_texts", "rfctl.cli.panels", "rfctl.errors",
}  # fmt: skip
HEAVY = {
    "redis", "hiredis", "structlog", "pydantic", "re2", "msgspec", "aiohttp", "starlette", "uvicorn", "asyncio",
    "ssl", "urllib.request", "textual",
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


SETTINGS = """
[sinks.crm]
type = "http"
[sinks.bot]
type = "stdout"
[sources.salon]
type = "telegram"
"""


def complete(
    tmp_path: Path, words: str, settings: str = SETTINGS, **variables: str
) -> tuple[list[str], set[str]]:
    """Press TAB behind these words. Returns what is offered, and which modules were imported."""
    file = tmp_path / "rfctl" / "config.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(settings)
    printed, modules = imported_modules(
        _RFCTL_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")),
        XDG_CONFIG_HOME=str(tmp_path), **variables,
    )  # fmt: skip
    return printed.split(), modules


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rfctl pause ", ["crm", "bot"]),
        ("rfctl resume b", ["bot"]),
        ("rfctl dead list --sink c", ["crm"]),
        ("rfctl dead retry --all --sink ", ["crm", "bot"]),
        ("rfctl resend --since 2h --sink c", ["crm"]),
        ("rfctl resend --si", ["--sink", "--since"]),
        ("rfctl config explain batching.quiet", ["batching.quiet_ms"]),
        ("rfctl config explain sources.salon.sec", ["sources.salon.secrets"]),
        ("rfctl pause --why x c", ["crm"]),
    ],
)
def test_names_are_completed_without_any_model(tmp_path: Path, words: str, offered: list[str]) -> None:
    completions, modules = complete(tmp_path, words)
    assert completions == offered
    assert modules & HEAVY == set()


def test_sinks_of_variables_and_of_a_named_file_are_completed_too(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[sinks.audit]\ntype = 'stdout'\n")
    line = f"rfctl --config {other} pause "
    assert complete(tmp_path, line, RFCTL_SINKS__QUEUE__TYPE="rq")[0] == ["audit", "queue"]


@pytest.mark.parametrize("settings", ["[sinks", "sinks = 3", "\x00", "[sinks]\ncrm = 1\n"])
def test_settings_that_cannot_be_read_offer_nothing_and_print_nothing(tmp_path: Path, settings: str) -> None:
    assert complete(tmp_path, "rfctl pause ", settings)[0] == []


def test_dead_letters_of_a_redis_that_is_away_offer_nothing(tmp_path: Path) -> None:
    assert complete(tmp_path, "rfctl dead show ", "", RFCTL_REDIS__URL="redis://127.0.0.1:1/0")[0] == []


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


def test_every_command_is_in_one_group_of_the_help() -> None:
    grouped = [name for names in PANELS.values() for name in names.split()]
    assert COMMANDS.keys() <= set(grouped)
    assert len(grouped) == len(set(grouped))


def list_help_pages() -> list[tuple[str, Any]]:
    """Return every command with its words, those of groups too."""
    table = load_all_commands()
    groups = [(name, table.commands[name]) for name in COMMANDS]
    inner = [
        (f"{name} {word}", it)
        for name, group in groups
        for word, it in getattr(group, "commands", {}).items()
    ]
    return [("", table), *groups, *inner]


def test_no_help_page_breaks_an_example_or_a_kind_of_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    examples = 0
    for words, command in list_help_pages():
        command.main(["--help"], prog_name=f"rfctl {words}".strip(), standalone_mode=False)
        page = capsys.readouterr().out
        for example in (command.help or "").partition("Examples:\n")[2].splitlines():
            examples += 1
            assert any(line.strip() == example for line in page.splitlines()), f"{words}: {example}"
        assert not re.search(r"<[a-z][^>\n]*(  |│)", page), words
        assert not re.search(r"<(bool|str|int|float|path|list)\b", page), f"{words}: a type, not a name"
    assert examples > 40


def test_a_word_that_is_no_command_is_refused_with_a_near_one() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rfctl", "stat"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "No such command" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        ["top", "--help"],
        ["stats", "--redis", "redis://127.0.0.1:1"],
        ["top", "--redis", "redis://127.0.0.1:1"],
    ],
    ids=["help", "another command", "without a terminal"],
)
def test_textual_is_imported_when_its_screen_opens_alone(line: list[str]) -> None:
    _, modules = imported_modules(*line)
    assert "rfctl.cli.app" in modules
    assert {name for name in modules if name.partition(".")[0] == "textual"} == set()
