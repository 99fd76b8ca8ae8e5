"""Who cannot run here is named and left out, and the others are measured."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import contenders
from bench.contender import Contender, MissingContenderError, Running


class NoServer:
    """Stands for a Redis."""

    def stop(self) -> None:
        """Do nothing."""


@contextlib.contextmanager
def serve(_folder: Path, _server: Any) -> Iterator[Running]:
    yield Running("http://127.0.0.1:1/", [])


def fail(_folder: Path, _server: Any) -> contextlib.AbstractContextManager[Running]:
    raise MissingContenderError("it is not installed")


def test_contender_that_cannot_run_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "open_server", NoServer)
    missing: list[str] = []
    everybody = [Contender("a", serve), Contender("b", fail), Contender("c", serve)]
    with contenders.running(everybody, tmp_path, missing.append) as live:
        assert list(live) == ["a", "c"]
    assert missing == ["b is left out: it is not installed"]


def test_peers_of_node_need_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    monkeypatch.setattr(contenders, "open_server", NoServer)
    contenders.install_peers.cache_clear()
    missing: list[str] = []
    try:
        with contenders.running(contenders.CONTENDERS[1:4], tmp_path, missing.append) as live:
            assert not live
    finally:
        contenders.install_peers.cache_clear()
    assert [line.partition(" is left out: ")[0] for line in missing] == [
        "Express + script", "Fastify + script", "Express, command by command"
    ]  # fmt: skip
    assert all("node or npm is not installed" in line for line in missing)
