"""Doctor answers within five seconds, whoever is silent: each bound is held by the time of the loop, not of the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from rfctl.assembly import doctor as doctors
from rfctl.assembly.doctor import Doctor
from rfctl.config.environment import Environment
from rfctl.config.loader import Configuration, load
from rfctl.observe.diagnosis import Diagnosis
from rfctl.observe.examination import LIMIT_S
from rfctl.observe.facts import Machine
from rfctl.observe.facts.receivers import ReceiverAddress, reach
from tests.support.virtual_time import run_in_virtual_time

_T = TypeVar("_T")
WITHIN_S = 5.0


async def beside_a_silent_server(look: Callable[[int], Awaitable[_T]]) -> _T:
    """Look at the port of a server that takes connections and never says a word."""
    connections = []

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    try:
        return await look(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for connection in connections:
            connection.close()


def configure_silence(folder: Path, port: int) -> Configuration:
    variables = {
        "HOME": str(folder), "RFCTL_REDIS__URL": f"redis://127.0.0.1:{port}/0", "RFCTL_HTTP__PORT": str(port),
        "RFCTL_SINKS__CRM__TYPE": "http", "RFCTL_SINKS__CRM__URL": f"https://127.0.0.1:{port}/hook",
        "RFCTL_SINKS__CRM__ALLOW_PRIVATE": "true",
    }  # fmt: skip
    return load(Environment(variables, folder / "none.toml", folder / "run"))


@pytest.mark.parametrize("probes", [False, True])
def test_everybody_may_be_silent_and_doctor_answers(tmp_path: Path, probes: bool) -> None:
    async def look(port: int) -> Diagnosis:
        doctor = Doctor(configure_silence(tmp_path, port), Machine(tmp_path), probes=probes)
        return await doctor.diagnose()

    diagnosis, took_s = run_in_virtual_time(beside_a_silent_server(look))
    assert took_s <= WITHIN_S
    codes = [line.code for line in diagnosis.lines if line.state == "fail"]
    assert codes[0] == "redis_unusable"
    assert "sink_unreachable" in codes
    assert ("probe_unanswered" in codes) is probes


def test_readings_one_after_another_are_within_the_five_seconds() -> None:
    assert max(LIMIT_S, doctors._REDIS_S) + doctors._DISK_S < WITHIN_S


@pytest.mark.parametrize(("connect_timeout_ms", "limit_s"), [(60_000, 2.5), (1_000, 1.0)])
def test_receiver_has_its_own_bound(connect_timeout_ms: int, limit_s: float) -> None:
    async def look(port: int) -> str:
        address = ReceiverAddress(
            "crm", "127.0.0.1", port, is_tls=True, connect_timeout_ms=connect_timeout_ms
        )
        return (await reach(address)).problem

    problem, took_s = run_in_virtual_time(beside_a_silent_server(look))
    assert "no connection within" in problem
    assert took_s == limit_s
