"""Findings about settings that are not what runs, and about a log that has gaps."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rfctl.observe.finding import Finding
from rfctl.store import DaemonRecord
from rfctl.text import counted

_HASH_CHARS = 12


def hash_file(text: bytes) -> str:
    """Return a hash by which two states of a settings file are told apart."""
    return hashlib.sha256(text).hexdigest()[:_HASH_CHARS]


def find_drift(daemons: Sequence[DaemonRecord], host: str | None = None) -> Iterator[Finding]:
    """Yield what is wrong between the settings and the daemons; files are compared for those of this host alone."""
    host = host or socket.gethostname()
    for daemon in daemons:
        name = f"daemon {daemon.pid} on {daemon.host}"
        reload_it = f"kill -HUP {daemon.pid}, or systemctl reload rfctl"
        if daemon.reload_refused:
            fact = f"{name} has refused its new settings, and runs on the old ones: {daemon.reload_refused}"
            yield Finding(
                "reload_refused", "warning", "", fact, f"mend them (rfctl config check), then {reload_it}"
            )
        elif daemon.host == host and (edited := _list_edited(daemon.files)):
            fact = f"{name} runs on older settings: {', '.join(edited)} has changed since it was read"
            yield Finding("settings_edited", "warning", "", fact, f"rfctl config check, then {reload_it}")
        if daemon.lost_log_lines:
            fact = f"{name} has lost {counted(daemon.lost_log_lines, 'line')} of its log"
            yield Finding(
                "log_lines_lost",
                "warning",
                "",
                fact,
                "see who reads its stderr, and whether the disk of the log is full",
            )


def _list_edited(files: Mapping[str, str]) -> list[str]:
    """Return the files that are other than they were; one that cannot be read here may be another container's."""
    edited = []
    for path, loaded_hash in files.items():
        try:
            if hash_file(Path(path).read_bytes()) != loaded_hash:
                edited.append(path)
        except OSError:
            continue
    return edited
