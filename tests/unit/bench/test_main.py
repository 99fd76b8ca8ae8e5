"""The command `python -m bench`: what it lists is there, and says what it does."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.__main__ import FOLDER, PROGRAMS, list_programs, read_summary


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_says_in_a_line_what_it_measures_and_how_it_is_called(name: str) -> None:
    assert read_summary(PROGRAMS[name]).endswith(f": python -m bench {name}") or (
        f": python -m bench {name} " in read_summary(PROGRAMS[name])
    )


def test_every_program_has_a_main() -> None:
    assert [
        name
        for name, module in PROGRAMS.items()
        if "\ndef main(" not in (FOLDER / f"{module}.py").read_text()
    ] == []


def test_unknown_program_gets_the_list() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "nothing"], cwd=FOLDER.parent, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"there is no program nothing\n{list_programs()}\n"
