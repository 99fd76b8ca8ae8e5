"""The wheel and the sdist: what is in them, and what the tools of an index say about both."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

from rfctl import __version__

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SHARED = {
    "share/man/man1/rfctl.1": "man/rfctl.1",
    "share/man/man5/rfctl.toml.5": "man/rfctl.toml.5",
    "share/man/man7/rfctl.7": "man/rfctl.7",
    "share/bash-completion/completions/rfctl": "completions/rfctl.bash",
    "share/zsh/site-functions/_rfctl": "completions/_rfctl",
    "share/fish/vendor_completions.d/rfctl.fish": "completions/rfctl.fish",
    "share/doc/rfctl/config.example.toml": "config.example.toml",
}
FORGES = ("github.com", "gitlab.com", "codeberg.org", "git.sr.ht", "bitbucket.org")
URLS = {"Documentation", "Source", "Issues", "Changelog"}


@dataclass(frozen=True)
class Distributions:
    """The wheel and the sdist of this tree."""

    wheel: Path
    sdist: Path


def run(*line: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(tree: Path, target: Path, *kinds: str) -> None:
    options = [word for kind in kinds for word in ("--target", kind)]
    run(sys.executable, "-m", "hatchling", "build", *options, "--directory", target, cwd=tree)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    folder = tmp_path_factory.mktemp("distributions")
    build(ROOT, folder, "wheel", "sdist")
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    assert wheel.name == f"rfctl-{__version__}-py3-none-any.whl"
    return Distributions(wheel, sdist)


def read_wheel(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.long
def test_the_sdist_makes_the_same_wheel(built: Distributions, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path / "tree", filter="data")
    [unpacked] = (tmp_path / "tree").iterdir()
    build(unpacked, tmp_path, "wheel")
    [again] = tmp_path.glob("*.whl")
    assert again.name == built.wheel.name
    assert read_wheel(built.wheel) == read_wheel(again)


def test_wheel_has_the_package_its_files_and_nothing_else(built: Distributions) -> None:
    files = read_wheel(built.wheel)
    package = {name for name in files if name.startswith("rfctl/") and not name.startswith("rfctl/data/")}
    source = [
        path for path in (ROOT / "rfctl").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert package == {str(path.relative_to(ROOT)) for path in source}
    assert "rfctl/py.typed" in package
    data = f"rfctl-{__version__}.data/data/"
    shared = {name.removeprefix(data): text for name, text in files.items() if name.startswith(data)}
    assert shared == {place: (ROOT / file).read_bytes() for place, file in SHARED.items()}
    assert {name.partition("/")[0] for name in files} == {
        "rfctl", f"rfctl-{__version__}.data", f"rfctl-{__version__}.dist-info",
    }  # fmt: skip
    assert files[f"rfctl-{__version__}.dist-info/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_files_of_a_wheel_are_for_everybody_to_read_and_for_nobody_to_change(built: Distributions) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        modes = {info.filename: (info.external_attr >> 16) & 0o7777 for info in archive.infolist()}
    assert {name: oct(mode) for name, mode in modes.items() if mode != 0o644} == {}


def test_sdist_has_what_builds_tests_and_explains_it(built: Distributions) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    tracked = set(run("git", "ls-files", cwd=ROOT).splitlines()) if (ROOT / ".git").exists() else set()
    left_out = {name for name in tracked - names if not name.startswith(".") and (ROOT / name).exists()}
    assert left_out <= {"_typos.toml"}
    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "PKG-INFO",
        "tests/conftest.py",
    } <= names
    assert not [name for name in names if "__pycache__" in name]


@pytest.mark.long
def test_an_index_would_take_both(built: Distributions) -> None:
    checked = run(sys.executable, "-m", "twine", "check", "--strict", built.wheel, built.sdist)
    assert checked.count("PASSED") == 2
    # W002: man pages and completions are there twice, for `man` and shells, and for `rfctl export`
    run(sys.executable, "-m", "check_wheel_contents", "--ignore", "W002", built.wheel)


def test_what_the_wheel_says_of_itself_is_true(built: Distributions) -> None:
    metadata = Parser().parsestr(read_wheel(built.wheel)[f"rfctl-{__version__}.dist-info/METADATA"].decode())
    assert (metadata["License-Expression"], metadata["License-File"]) == ("MIT", "LICENSE")
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    pythons = [
        it.rpartition(" ")[2] for it in metadata.get_all("Classifier", []) if re.search(r":: 3\.\d+$", it)
    ]
    assert f">={pythons[0]}" == metadata["Requires-Python"]


def test_installed_wheel_has_the_command_and_its_pages(built: Distributions, tmp_path: Path) -> None:
    """In an environment of its own: pip would take the copy of these tests away. It lends that of its dependencies."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path)
    python = tmp_path / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", "--no-compile", built.wheel)
    for place, file in SHARED.items():
        assert (tmp_path / place).read_bytes() == (ROOT / file).read_bytes()
    lent = f"PYTHONPATH={sysconfig.get_path('purelib')}"
    printed = run("env", lent, python, tmp_path / "bin" / "rfctl", "export", "unit", cwd=tmp_path)
    assert printed == (ROOT / "deploy" / "rfctl.service").read_text()


def test_every_extra_is_explained() -> None:
    page = (ROOT / "docs" / "operations" / "install.md").read_text()
    explained = set(re.findall(r"(?m)^\| `([a-z0-9]+)` \|", page))
    assert explained == set(PROJECT["optional-dependencies"]) - {"test", "lint"}


def test_addresses_of_the_project_are_there_as_soon_as_it_has_one() -> None:
    """A host that is not ours would be a lie, so there are none before; behind them everybody looks for these four."""
    urls = PROJECT.get("urls", {})
    assert set(urls) in (set(), URLS)
    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone: an sdist does not know where it is from")
    origin = subprocess.run(
        ["git", "remote", "get-url", "origin"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    ).stdout
    if any(forge in origin for forge in FORGES):
        assert set(urls) == URLS, f"the project has an address now, so name it in [project.urls]: {origin}"
