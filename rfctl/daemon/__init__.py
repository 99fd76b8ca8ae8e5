"""One running process: start, reload, drain, stop."""

from rfctl.daemon.daemon import Daemon
from rfctl.daemon.event_loop import find_loop_factory
from rfctl.daemon.process import run_process

__all__ = ["Daemon", "find_loop_factory", "run_process"]
