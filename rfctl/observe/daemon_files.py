"""Files by which a shell finds the daemons of this host, whatever Redis they use.

A shell reads its own settings, and may look at another Redis than the daemon beside it: it would see nothing pending
and nothing wrong. Each daemon writes one file into `/run/rfctl`, or into `$XDG_RUNTIME_DIR/rfctl` without systemd.
Everybody may read it, so nothing in it is secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from rfctl.store.address import RedisAddress
from rfctl.store.server_info import ServerInfo

_NAME = "daemon-{}.json"


class DaemonFile(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon of this host: its process, and its Redis (`url` is masked, `run_id` is "" until Redis has answered).

    `settings_hash` is that of the settings in force.
    """

    id: str
    pid: int
    url: str
    run_id: str = ""
    db: int = 0
    prefix: str = ""
    settings_hash: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether its process lives. After a crash another program may have its number."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:
            return True  # another user's
        try:
            return b"rfctl" in Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return True  # no Linux, or hidden from us

    def uses(self, run_id: str, db: int, prefix: str) -> bool:
        """Say whether it uses this Redis; the URL may be spelled in many ways."""
        return (self.run_id, self.db, self.prefix) == (run_id, db, prefix)


def write_daemon_file(folder: Path, daemon: DaemonFile) -> None:
    """Write a daemon's file, readable for everybody. Raises OSError."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = folder / _NAME.format(daemon.id)
    text = msgspec.json.encode(daemon)
    if path.exists() and path.read_bytes() == text:
        return
    half = folder / f".{path.name}"
    half.write_bytes(text)
    half.chmod(0o644)
    half.rename(path)


def remove_daemon_file(folder: Path, daemon_id: str) -> None:
    """Remove a daemon's file. Raises OSError."""
    (folder / _NAME.format(daemon_id)).unlink(missing_ok=True)


def list_living_daemons(folders: Iterable[Path]) -> list[DaemonFile]:
    """Return the daemons of this host that live. What cannot be read, or is of another version, is left out."""
    daemons = []
    for folder in folders:
        for path in sorted(folder.glob(_NAME.format("*"))):
            try:
                daemons.append(msgspec.json.decode(path.read_bytes(), type=DaemonFile))
            except (OSError, msgspec.MsgspecError):
                continue
    return [daemon for daemon in daemons if daemon.is_alive]


def describe_other_redis(
    daemons: Sequence[DaemonFile], address: RedisAddress, server: ServerInfo | None, prefix: str = ""
) -> str:
    """Return one line if no daemon of this host uses the Redis that was reached, else "".

    `server` is None when nothing was reached: then the line says where the daemons are.
    """
    is_same = server is not None and any(daemon.uses(server.run_id, server.db, prefix) for daemon in daemons)
    if not daemons or is_same:
        return ""
    theirs = ", ".join(
        f"the daemon on this host (pid {daemon.pid}) uses {_with_prefix(daemon.url, daemon.prefix)}"
        for daemon in daemons
    )
    return f"this is {_with_prefix(address.shown(), prefix)} (set by {address.set_by}), but {theirs}"


def _with_prefix(url: str, prefix: str) -> str:
    return f"{url} with the prefix {prefix}" if prefix else url
