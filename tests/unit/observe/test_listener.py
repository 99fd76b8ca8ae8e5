"""Who has the address of the listener and does not answer: one of our daemons, or another program."""

from __future__ import annotations

import socket

import msgspec
import pytest

from rfctl.observe.examination import Examination
from rfctl.observe.facts import ListenerAnswer, Neighbour
from rfctl.observe.listener import find_listener_faults
from rfctl.observe.snapshot import Snapshot
from tests.unit.observe.test_health import ALIVE, HERE, look

SILENT = ListenerAnswer("127.0.0.1:1", "pid 7 (rfctl)", pid=7)
FILE = Neighbour("file", "pid 7", HERE.where, HERE.run_id, 0, "", "", 7)
HERE_ALIVE = msgspec.structs.replace(ALIVE, host=socket.gethostname(), pid=7, listener="http://h:1")
ELSEWHERE = msgspec.structs.replace(HERE_ALIVE, host="other")


@pytest.mark.parametrize(
    ("snapshot", "neighbours", "code"),
    [
        (None, (FILE,), "daemon_hung"),
        (None, (), "port_taken"),
        (look(), (FILE,), "daemon_hung"),
        (look(), (), "port_taken"),
        (look(daemons=[HERE_ALIVE]), (), "daemon_hung"),
        (look(daemons=[ELSEWHERE]), (), ""),
    ],
)
def test_silence_is_of_a_daemon_that_hangs_where_its_process_is_one(
    snapshot: Snapshot | None, neighbours: tuple[Neighbour, ...], code: str
) -> None:
    examination = Examination(listener=SILENT, neighbours=neighbours)
    assert [finding.code for finding in find_listener_faults(snapshot, examination)] == (
        [code] if code else []
    )


@pytest.mark.parametrize(
    ("is_stopped", "fact", "fix"),
    [(True, "is stopped by a signal", "kill -CONT 7"), (False, "does not answer", "systemctl restart rfctl")],
)
def test_stopped_daemon_may_go_on_and_another_has_to_start_again(
    is_stopped: bool, fact: str, fix: str
) -> None:
    silent = ListenerAnswer("127.0.0.1:1", "pid 7 (rfctl)", pid=7, is_stopped=is_stopped)
    [finding] = find_listener_faults(None, Examination(listener=silent, neighbours=(FILE,)))
    assert fact in finding.fact
    assert fix in finding.fix
