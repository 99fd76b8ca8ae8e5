"""What can be copied from the pages of settings, rules, sinks, HTTP and the payload: run as it stands there; only addresses are put in."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rfctl.assembly.batching import build_policy
from rfctl.assembly.sinks import build_target, list_forwarded_sinks
from rfctl.assembly.sources import build_sources
from rfctl.config.environment import Environment
from rfctl.config.loader import load
from rfctl.sinks.registry import list_types
from rfctl.sources.registry import SPECS as SOURCES
from tests.support.page_blocks import find_line, read_blocks, read_shell_lines
from tests.support.processes import RFCTL, Daemon, Process, environment, rfctl, run
from tests.support.servers import RedisServer
from tests.support.waiting import wait_until

COPY, RULES, OWN, HTTP, PAYLOAD, SEE = (
    f"docs/{name}.md"
    for name in (
        "how-to/settings-to-copy", "how-to/rules", "how-to/sinks/your-own", "reference/http", "reference/payload",
        "how-to/see-everything",
    )
)  # fmt: skip
LOCAL = "redis://127.0.0.1:6379/0"


@pytest.fixture
def merged(server: RedisServer, tmp_path: Path) -> Iterator[RedisServer]:
    """A server whose daemon took the page's curl, and handed it over."""
    with Daemon(tmp_path, RFCTL_REDIS__URL=server.url, RFCTL_BATCHING__QUIET_MS="100") as daemon:
        curl = find_line(HTTP, "curl http://127.0.0.1:3000/webhook/generic").replace(
            "http://127.0.0.1:3000", daemon.url
        )
        answer = run(["bash", "-c", "curl -s --noproxy '*' " + curl.removeprefix("curl ")], os.environ)
        [shown] = [json.loads(text) for text in read_blocks(HTTP, "text")]
        answered = json.loads(answer.stdout)
        assert answered.keys() == shown.keys()
        assert (answered["addedCount"], answered["batches"][0].keys()) == (1, shown["batches"][0].keys())
        with server.client() as client:
            wait_until(lambda: client.xlen("rfctl:out"))
        yield server


def test_redis_cli_reads_and_takes_over_what_a_crashed_worker_had(merged: RedisServer) -> None:
    if shutil.which("redis-cli") is None:
        pytest.skip("needs redis-cli (Debian's redis-tools)")
    lines = [
        line.replace(LOCAL, merged.url) for line in read_shell_lines(PAYLOAD) if line.startswith("redis-cli")
    ]
    shown = []
    for line in lines:
        done = run(["bash", "-c", line.replace(" 30000 0", " 0 0")], os.environ)  # it need not be 30 s
        assert done.returncode == 0, done.stderr
        shown.append("Hi," in done.stdout)
    assert shown == [False, True, True]


@pytest.mark.long
def test_every_question_is_a_command_that_is_understood(server: RedisServer, tmp_path: Path) -> None:
    lines = [line.partition("#")[0].split() for line in read_shell_lines(SEE)]
    assert len(lines) == 20
    for line in lines:
        if line[1] in ("stats", "tail"):
            with Process([RFCTL, *line[1:], "--redis", server.url], environment(tmp_path)) as process:
                output, words = (
                    (process.stdout, "Redis") if line[1] == "stats" else (process.stderr, "following")
                )
                output.wait_for(lambda text, words=words: words in text)  # type: ignore[misc]
                assert process.end(signal.SIGINT) == 0, line
        else:
            statuses = {"doctor": (0, 1), "check": (0, 1, 2), "forget": (2,)}.get(line[1], (0, 3, 69))
            assert rfctl(tmp_path, *line[1:], "--redis", server.url).returncode in statuses, line


@pytest.mark.parametrize(
    "text",
    [text for page in (COPY, RULES) for text in read_blocks(page, "toml")],
    ids=lambda text: text.split("]")[0],
)
def test_every_piece_of_settings_is_right_and_makes_its_part(text: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    settings = load(Environment({"HOME": str(tmp_path)}), file=file).settings
    assert build_policy(settings).rules or settings.sinks or settings.sources
    assert set(build_sources(settings)) == set(settings.sources or {"generic"})
    for name, item in list_forwarded_sinks(settings).items():
        assert build_target(name, item, redis_url=settings.redis.url).name == name


def test_every_type_of_source_and_sink_can_be_copied() -> None:
    shown = {kind for text in read_blocks(COPY, "toml") for kind in re.findall(r'type = "([a-z-]+)"', text)}
    assert shown >= set(SOURCES)
    assert shown >= {kind for kind in list_types() if kind != "shout"}


def test_a_sink_of_ones_own_delivers(server: RedisServer, tmp_path: Path) -> None:
    [text] = read_blocks(OWN, "python")
    assert len(text.strip().splitlines()) <= 18
    (tmp_path / "my_sink.py").write_text(text)
    package = tmp_path / "my_sink-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: my-sink\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[rfctl.sinks]\nshout = my_sink:Shout\n")
    [shown] = read_blocks(OWN, "toml")
    settings = tmp_path / "c.toml"
    settings.write_text(shown)
    variables = {
        "RFCTL_REDIS__URL": server.url,
        "RFCTL_BATCHING__QUIET_MS": "50",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))),
    }
    out = tmp_path / "out"
    with out.open("wb") as stdout:
        daemon = Daemon(tmp_path, "--config", str(settings), stdout=stdout, **variables)
        try:
            daemon.post({"from": "7", "message": "quietly"})
            wait_until(out.read_text)
        finally:
            daemon.end()
    assert re.fullmatch(r"now msg_[0-9a-f]{24} QUIETLY\n", out.read_text())
