"""The command that adds an extra is right for how this rfctl was installed, and can be pasted into a shell anywhere."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from rfctl.model import installation
from rfctl.model.installation import build_extra_command, build_package_command
from rfctl.text import mask_urls, visible

ROOT = Path(__file__).parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
Install = Callable[[Any], None]


def make_program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


def make_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "pyproject.toml").touch()
    return path


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what lets rfctl have been installed with this record, in an environment that is active."""
    python = make_program(tmp_path / "venv" / "bin" / "python")
    make_program(python.with_name("pip"))
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(installation, "find_spec", lambda name: object())
    monkeypatch.setenv("PATH", str(python.parent))

    def write(record: Any) -> None:
        info = tmp_path / "site" / "rfctl-0.2.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            "Metadata-Version: 2.4\nName: rfctl\nVersion: 0.2.0\nProvides-Extra: top\n"
            "Requires-Dist: rich>=14\nRequires-Dist: textual>=8; extra == 'top'\n"
            'Requires-Dist: celery[redis]>=5.6 ; extra == "celery"\n'
            "Requires-Dist: textual-dev; extra == 'top-dev'\n"
        )
        if record is not None:
            (info / "direct_url.json").write_text(record if isinstance(record, str) else json.dumps(record))
        monkeypatch.syspath_prepend(str(info.parent))

    return write


def test_from_an_index_it_is_the_name(install: Install) -> None:
    install(None)
    assert build_extra_command("top") == "pip install 'rfctl[top]'"


@pytest.mark.parametrize("record", ["", "{", "[]", "{}", '{"url": null}'])
def test_record_that_says_nothing_counts_as_an_index(install: Install, record: str) -> None:
    install(record)
    assert build_extra_command("top") == "pip install 'rfctl[top]'"


@pytest.mark.parametrize(("is_editable", "flag"), [(False, ""), (True, "-e ")])
def test_from_a_folder_it_is_that_folder(
    install: Install, tmp_path: Path, is_editable: bool, flag: str
) -> None:
    folder = make_folder(tmp_path / "clone")
    install({"url": folder.as_uri(), "dir_info": {"editable": True} if is_editable else {}})
    assert build_extra_command("top") == f"pip install {flag}'{folder}[top]'"


@pytest.mark.parametrize("name", ["my bots", "it's", "Müller", "a#b?c%20d", "$HOME;rm", "100%"])
def test_folder_of_any_name_comes_out_of_the_shell_as_it_is(
    install: Install, tmp_path: Path, name: str
) -> None:
    folder = make_folder(tmp_path / name)
    install({"url": folder.as_uri(), "dir_info": {}})
    assert shlex.split(build_extra_command("top")) == ["pip", "install", f"{folder}[top]"]


def test_from_a_wheel_it_is_that_file(install: Install, tmp_path: Path) -> None:
    wheel = tmp_path / "dist" / "rfctl-0.2.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    install({"url": wheel.as_uri(), "archive_info": {}})
    assert build_extra_command("top") == f"pip install '{wheel}[top]'"


@pytest.mark.parametrize("url", ["https://example.org/rfctl.git", "ssh://example.org:22/rfctl"])
def test_from_a_repository_it_is_the_commit_that_is_installed(install: Install, url: str) -> None:
    install({"url": url, "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": COMMIT}})
    assert build_extra_command("top") == f"pip install 'rfctl[top] @ git+{url}@{COMMIT}'"


def test_from_a_folder_of_a_repository_it_names_the_folder(install: Install) -> None:
    vcs = {"vcs": "git", "commit_id": COMMIT}
    install({"url": "https://example.org/all", "vcs_info": vcs, "subdirectory": "chat/rfctl"})
    address = f"git+https://example.org/all@{COMMIT}#subdirectory=chat/rfctl"
    assert build_extra_command("top") == f"pip install 'rfctl[top] @ {address}'"


def test_address_with_a_space_is_written_as_pip_reads_it(install: Install) -> None:
    install({"url": "https://example.org/my bots/a%20", "vcs_info": {"vcs": "git", "commit_id": COMMIT}})
    command = build_extra_command("top")
    assert command == f"pip install 'rfctl[top] @ git+https://example.org/my%20bots/a%20@{COMMIT}'"


def test_repository_on_this_machine_is_none_that_pip_takes_behind_a_name(install: Install) -> None:
    install({"url": "file:///srv/rfctl", "vcs_info": {"vcs": "git", "commit_id": COMMIT}})
    assert build_extra_command("top") == "pip install 'textual>=8'"


def test_from_an_address_it_is_that_address(install: Install) -> None:
    install({"url": "https://example.org/rfctl.tar.gz", "archive_info": {}})
    assert build_extra_command("top") == "pip install 'rfctl[top] @ https://example.org/rfctl.tar.gz'"


@pytest.mark.parametrize(
    "record",
    [
        {"url": "https://example.org/rfctl.whl?token=geheim", "archive_info": {}},
        {"url": "https://example.org/rfctl-0.2.0-py3-none-any.whl", "archive_info": {}},
        {"url": "https://me:geheim@example.org/rfctl", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
    ],
)
def test_address_that_may_hold_a_secret_is_not_shown(install: Install, record: dict[str, Any]) -> None:
    install(record)
    assert build_extra_command("top") == "pip install 'textual>=8'"


@pytest.mark.parametrize("name", ["folder", "wheel", "git", "address", "index", "gone"])
def test_command_comes_to_the_screen_as_it_is(install: Install, tmp_path: Path, name: str) -> None:
    folder = make_folder(tmp_path / "a b")
    records = {
        "folder": {"url": folder.as_uri(), "dir_info": {}},
        "wheel": {"url": (folder / "pyproject.toml").as_uri(), "archive_info": {}},
        "git": {"url": "https://example.org/a b/c", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
        "address": {"url": "https://example.org/rfctl.tar.gz", "archive_info": {}},
        "gone": {"url": "file:///nowhere", "dir_info": {}},
    }
    install(records.get(name))
    command = build_extra_command("top")
    assert visible(mask_urls(command)) == command


@pytest.mark.parametrize(
    "record",
    [
        {"url": "file:///nowhere/rfctl", "dir_info": {}},
        {"url": "file:///nowhere/rfctl", "dir_info": {"editable": True}},
        {"url": "file:///nowhere/rfctl-0.2.0-py3-none-any.whl", "archive_info": {}},
        {"url": "file:///nowhere/all.zip", "archive_info": {}, "subdirectory": "rfctl"},
    ],
)
def test_where_the_source_is_gone_it_is_what_the_extra_brings(
    install: Install, record: dict[str, Any]
) -> None:
    install(record)
    assert build_extra_command("top") == "pip install 'textual>=8'"
    assert build_extra_command("celery") == "pip install 'celery[redis]>=5.6'"


def test_folder_that_holds_no_project_any_more_is_gone(install: Install, tmp_path: Path) -> None:
    install({"url": tmp_path.as_uri(), "dir_info": {}})
    assert build_extra_command("top") == "pip install 'textual>=8'"


def test_rfctl_that_is_not_installed_names_its_sources(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def find_none(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", find_none)
    monkeypatch.setattr(installation, "_SOURCES", ROOT)
    assert build_extra_command("top") == shlex.join(["pip", "install", "-e", f"{ROOT}[top]"])
    monkeypatch.setattr(installation, "_SOURCES", tmp_path)
    assert build_extra_command("top") == "pip install 'rfctl[top]'"


def test_environment_that_is_not_active_is_named_by_its_interpreter(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(None)
    for path in ("/nowhere", str(make_program(tmp_path / "other" / "pip").parent)):
        monkeypatch.setenv("PATH", path)
        assert build_extra_command("top") == f"{sys.executable} -m pip install 'rfctl[top]'"


def test_interpreter_of_the_system_is_named_also_where_its_pip_is_on_the_path(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(None)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)  # `pip` beside it may be another interpreter's
    assert build_extra_command("top") == f"{sys.executable} -m pip install 'rfctl[top]'"


def test_environment_whose_path_has_a_space_can_be_pasted(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(None)
    monkeypatch.setattr(sys, "executable", "/srv/my bots/bin/python")
    assert build_extra_command("top") == "'/srv/my bots/bin/python' -m pip install 'rfctl[top]'"


def test_environment_without_pip_is_filled_from_outside(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(None)
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    assert build_extra_command("top") == f"pip --python {sys.executable} install 'rfctl[top]'"
    make_program(Path(sys.executable).with_name("uv"))
    assert shutil.which("uv")
    assert build_extra_command("top") == f"uv pip install --python {sys.executable} 'rfctl[top]'"


def test_other_packages_are_installed_by_the_same_command(install: Install) -> None:
    install({"url": "file:///nowhere/rfctl", "dir_info": {}})
    assert build_package_command("some-exporter") == "pip install some-exporter"


def test_no_other_module_spells_such_a_command() -> None:
    words = ("pip install", "pip3 install", "rfctl[")
    assert [
        path
        for path in (ROOT / "rfctl").rglob("*.py")
        if path != Path(installation.__file__) and any(word in path.read_text() for word in words)
    ] == []


def test_no_page_installs_rfctl_from_an_index_where_it_is_not() -> None:
    pages = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "man").iterdir(),
        *(ROOT / "docs").rglob("*.md"),
    ]
    assert [path for path in pages if re.search(r"(?<![\w./])rfctl\[", path.read_text())] == []


@pytest.mark.parametrize("extra", ["top", "embedded", "patterns", "bullmq", "celery", "rq", "otel"])
def test_every_extra_that_is_refused_is_there(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
