"""One text for a bug report. Secrets, phones and texts of messages are not in it."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping

from rfctl import __version__
from rfctl.cli.doctor_view import list_lines
from rfctl.config.loader import Configuration
from rfctl.config.options import configured_options
from rfctl.observe.diagnosis import Diagnosis
from rfctl.store import DaemonRecord
from rfctl.text import mask_phones, mask_urls, visible


def build_report(configuration: Configuration, diagnosis: Diagnosis) -> str:
    """Return the report: versions, the diagnosis, the settings that somebody set, the daemons and the totals."""
    sections: dict[str, Iterator[str]] = {
        "versions": _list_versions(diagnosis),
        "diagnosis": iter(list_lines(diagnosis)),
        "settings that somebody set": _list_settings(configuration),
        "daemons": _list_daemons(diagnosis),
        "totals": _list_totals(diagnosis),
    }
    lines = [line for title, rows in sections.items() for line in _format_section(title, rows)]
    return "".join(f"{visible(mask_phones(mask_urls(line)))}\n" for line in lines)


def _format_section(title: str, rows: Iterator[str]) -> list[str]:
    return [f"== {title}", *(list(rows) or ["none"]), ""]


def _list_versions(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"rfctl {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if diagnosis.snapshot is not None:
        server = diagnosis.snapshot.server
        yield f"{server.product} {server.version}, {server.eviction}, append-only file {server.aof}"


def _list_settings(configuration: Configuration) -> Iterator[str]:
    for option in configured_options(configuration.settings):
        if configuration.set_by(option.name) != "default":
            value, set_by = configuration.value_to_show(option), configuration.set_by(option.name)
            yield f"{option.name} = {value!r} ({set_by})"


def _list_daemons(diagnosis: Diagnosis) -> Iterator[str]:
    for daemon in () if diagnosis.snapshot is None else diagnosis.snapshot.daemons:
        yield _describe_daemon(daemon)


def _describe_daemon(daemon: DaemonRecord) -> str:
    facts = (daemon.version, daemon.role, daemon.event_loop, f"settings {daemon.settings_hash}")
    return f"{daemon.id}: {', '.join(facts)}; lost log lines {daemon.lost_log_lines}"


def _list_totals(diagnosis: Diagnosis) -> Iterator[str]:
    totals: Mapping[str, int] = {} if diagnosis.snapshot is None else diagnosis.snapshot.pending.totals
    yield from (f"{name} {count}" for name, count in sorted(totals.items()))
