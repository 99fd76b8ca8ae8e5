"""One running process: start, reload, drain, stop."""

from rfctl.daemon.daemon import Daemon
from rfctl.daemon.process import run_process

__all__ = ["Daemon", "run_process"]
