"""Patterns need RE2, which is an extra: without it everything else works, and a pattern is refused with the line that installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rfctl.batching import policy
from rfctl.errors import write_install_line

BLOCKED = """
import sys
sys.modules["re2"] = None  # as if it were not installed
from rfctl.cli import main
sys.argv = ["rfctl", *sys.argv[1:]]
main()
"""
RULE = '[rules.codes]\n{condition}\naction = "send_alone"\n'
INSTALL = write_install_line("patterns")


def run_without_re2(*line: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *line], capture_output=True, text=True, timeout=60, check=False
    )


def check_settings(tmp_path: Path, condition: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "config.toml"
    file.write_text(RULE.format(condition=condition))
    return run_without_re2("config", "check", "--config", file)


@pytest.mark.parametrize(
    "condition", ['words = ["stop"]', 'prefixes = ["/"]', 'words = ["stop"]\npatterns = []']
)
def test_rules_without_patterns_need_no_re2(tmp_path: Path, condition: str) -> None:
    done = check_settings(tmp_path, condition)
    assert (done.returncode, done.stderr) == (0, "")


def test_patterns_without_re2_are_refused_once_with_their_place_and_the_line_that_installs_it(
    tmp_path: Path,
) -> None:
    done = check_settings(tmp_path, 'patterns = ["[0-9]{4}", "/[a-z]+"]')
    assert done.returncode == 78
    [line] = [line for line in done.stderr.splitlines() if "google-re2" in line]
    assert "rules.codes.patterns: a pattern needs google-re2" in line
    assert INSTALL in line
    assert f"{tmp_path / 'config.toml'}:2" in line


def test_grep_without_re2_is_refused_with_the_line_that_installs_it(tmp_path: Path) -> None:
    done = run_without_re2("tail", "--grep", "refund", "--redis", "redis://127.0.0.1:1/0")
    assert done.returncode == 2
    assert "--grep refund: a pattern needs google-re2" in done.stderr
    assert f"next: {INSTALL}" in done.stderr


def test_re2_is_imported_by_nothing_but_a_pattern() -> None:
    every_module = (
        "import pkgutil, sys, rfctl\n"
        "for module in pkgutil.walk_packages(rfctl.__path__, 'rfctl.'):\n"
        "    if not module.name.endswith('__main__'): __import__(module.name)\n"
        "print('re2' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", every_module], capture_output=True, text=True, timeout=600, check=False
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert policy.compile_pattern("a+").fullmatch(b"aaa")
