"""The runner of small bugs: it tells those that the tests notice from those that they do not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.mutants import (
    Mutant,
    MutantDoesNotApplyError,
    apply,
    choose,
    copied,
    judge,
    read_table,
    run,
)

CODE = "def double(number):\n    return number * 2\n\n\ndef half(number):\n    return number / 2\n"
TESTS = "from code_under_test import double\n\n\ndef test_double():\n    assert double(3) == 6\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository with code and a test of half of it. Its tests need no plugin, and to load all takes a second."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "code_under_test.py").write_text(CODE)
    (tmp_path / "test_code.py").write_text(TESTS)
    (tmp_path / "ignored.txt").write_text("of no interest")
    (tmp_path / ".gitignore").write_text("ignored.txt\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


def mutant(old: str, new: str = "", tests: tuple[str, ...] = ("test_code.py",)) -> Mutant:
    return Mutant("code_under_test.py", old, new, "a sum", tests)


CAUGHT = mutant("number * 2", "number * 3")
SURVIVING = mutant("number / 2", "number / 3")


def test_bug_that_a_test_notices_is_caught_and_the_repository_is_untouched(repository: Path) -> None:
    assert judge(CAUGHT, repository) == "caught"
    assert (repository / "code_under_test.py").read_text() == CODE


def test_bug_that_no_test_notices_survives(repository: Path) -> None:
    assert judge(SURVIVING, repository) == "SURVIVED"


@pytest.mark.parametrize(
    "broken", [mutant("number", "digit"), mutant("no such text", "x"), mutant("* 2", "* 2")]
)
def test_text_that_is_not_there_exactly_once_does_not_apply(repository: Path, broken: Mutant) -> None:
    assert judge(broken, repository) == "does not apply"
    with pytest.raises(MutantDoesNotApplyError), copied(repository) as folder:
        apply(broken, folder)


def test_missing_test_catches_nothing(repository: Path) -> None:
    assert judge(mutant("* 2", "* 3", ("test_gone.py",)), repository) == "tests do not run"


def test_table_passes_only_when_every_bug_is_caught(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([CAUGHT], repository)
    assert not run([CAUGHT, SURVIVING], repository)
    assert "1 of 2 caught" in capsys.readouterr().out


def test_test_that_fails_without_a_bug_catches_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / "test_code.py").write_text(TESTS.replace("6", "7"))
    assert not run([CAUGHT], repository)
    assert "without any bug" in capsys.readouterr().out


def test_copy_has_new_files_and_no_ignored_ones(repository: Path) -> None:
    with copied(repository) as folder:
        assert sorted(path.name for path in folder.iterdir()) == [
            ".gitignore", "code_under_test.py", "test_code.py",
        ]  # fmt: skip


def test_sample_goes_by_the_seed() -> None:
    mutants = [mutant(str(number)) for number in range(20)]
    sample = choose(mutants, 5, seed=1)
    assert sample == choose(mutants, 5, seed=1)
    assert sample != choose(mutants, 5, seed=2)
    assert len(sample) == 5
    assert choose(mutants, None, seed=1) == mutants


@pytest.mark.parametrize("each", read_table(), ids=lambda each: f"{each.file}: {each.breaks}")
def test_bug_of_the_table_applies_and_names_existing_tests(each: Mutant) -> None:
    root = Path(__file__).parents[2]
    assert (root / each.file).read_text().count(each.old) == 1
    assert each.old != each.new
    assert each.tests
    for test in each.tests:
        file, _, name = test.partition("::")
        assert not name or f"def {name.partition('[')[0]}(" in (root / file).read_text(), test


def test_no_promise_is_broken_twice_by_the_table() -> None:
    promises = [each.breaks for each in read_table()]
    assert len(promises) == len(set(promises)) >= 48
