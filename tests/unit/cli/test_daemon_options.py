"""Whose separator and order a command uses: those of the daemons, and it says so when they are in doubt."""

from __future__ import annotations

from typing import Any

from rfctl.cli.daemon_options import choose_daemons, choose_options
from rfctl.model.closed_sets import Role
from rfctl.store import BatchOptions, DaemonRecord

OWN = BatchOptions(" ", "arrival", 4321)


def daemon(pid: int, role: Role = "all", **fields: Any) -> DaemonRecord:
    return DaemonRecord(
        id=str(pid), host="prod", pid=pid, version="1", role=role, **({"output": "rfctl:out"} | fields)
    )


def test_options_of_the_daemons_hide_those_of_the_shell() -> None:
    options, note = choose_options(OWN, [daemon(1, separator="\n", order="sent")] * 2)
    assert (options, note) == (BatchOptions("\n", "sent", 4321), "")


def test_daemon_of_an_earlier_version_does_not_tell_its_order() -> None:
    own = BatchOptions(" ", "sent")
    assert choose_options(own, [daemon(1, separator="|", output="")]) == (BatchOptions("|", "sent"), "")


def test_without_a_daemon_the_shell_says_that_its_own_are_used() -> None:
    options, note = choose_options(OWN, [])
    assert options == OWN
    assert (
        note
        == "no daemon is alive: the texts are joined by these settings, with ' ' between them and in the order of arrival"
    )


def test_daemons_that_disagree_are_named_and_most_of_them_count() -> None:
    daemons = [daemon(1, separator="|"), daemon(2, separator="\n"), daemon(3, separator="|")]
    options, note = choose_options(OWN, daemons)
    assert options.separator == "|"
    assert "different settings" in note
    assert "prod 1, prod 3" in note


def test_youngest_daemon_counts_at_a_tie() -> None:
    options, note = choose_options(OWN, [daemon(1, separator="old"), daemon(2, separator="new")])
    assert options.separator == "new"
    assert "prod 2" in note


def test_daemons_that_hand_over_count_before_those_that_only_listen() -> None:
    webhook = daemon(1, role="webhook", listener="http://127.0.0.1:1")
    forwarder, processor = daemon(2, role="forwarder"), daemon(3, role="processor")
    assert choose_daemons([webhook, forwarder, processor]) == [processor]
    assert choose_daemons([webhook, forwarder]) == [webhook]
    assert choose_daemons([forwarder]) == []
