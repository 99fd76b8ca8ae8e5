"""Keeps the file by which shells of this host find this daemon; see `observe.daemon_files`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import structlog

from rfctl.observe.daemon_files import DaemonFile, remove_daemon_file, write_daemon_file
from rfctl.store import Store

_log = structlog.get_logger("daemon")


class HostFile:
    """One daemon's file in `folder`; without a folder there is none. `read_hash` returns that of its settings."""

    def __init__(
        self, folder: Path | None, store: Store, daemon_id: str, read_hash: Callable[[], str]
    ) -> None:
        self._folder = folder
        self._store = store
        self._id = daemon_id
        self._read_hash = read_hash
        self._is_refused = False

    async def write(self) -> None:
        """Write which Redis this daemon uses now: after a failover it is another. Raises RfctlError."""
        if self._folder is None:
            return
        server = await self._store.server_info()
        url = self._store.address.shown()
        daemon = DaemonFile(
            id=self._id, pid=os.getpid(), url=url, run_id=server.run_id, db=server.db, prefix=self._store.shards[0].prefix,
            settings_hash=self._read_hash(),
        )  # fmt: skip
        try:
            write_daemon_file(self._folder, daemon)
        except OSError as problem:
            self._log_refusal(problem)
        else:
            self._is_refused = False

    def _log_refusal(self, problem: OSError) -> None:
        """Log it once: shells only miss a hint."""
        if not self._is_refused:
            self._is_refused = True
            _log.warning(
                "host_file_refused", problem=f"{self._folder}: {problem.strerror}",
                next="let this user write there, so that shells see which Redis the daemon uses",
            )  # fmt: skip

    def remove(self) -> None:
        """Remove the file: this daemon ends."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                remove_daemon_file(self._folder, self._id)
