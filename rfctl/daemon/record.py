"""How a daemon describes itself to other shells."""

from __future__ import annotations

import hashlib
import os
import socket

from rfctl import __version__
from rfctl.config.settings import Settings
from rfctl.store import DaemonRecord


def describe(settings: Settings, daemon_id: str, listener: str) -> DaemonRecord:
    """Return the record of this process."""
    batching = settings.batching
    return DaemonRecord(
        id=daemon_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
        role=settings.daemon.role,
        listener=listener,
        fingerprint=hashlib.sha256(batching.model_dump_json().encode()).hexdigest()[:12],
        quiet_ms=batching.quiet_ms,
        max_size=batching.max_size,
        max_wait_ms=batching.max_wait_ms,
        separator=batching.separator,
    )
