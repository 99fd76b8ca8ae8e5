"""The load generator: wrk, with requests of ours."""

from bench.load.prepared import write_requests
from bench.load.wrk import Load, LoadError, run_wrk

__all__ = ["Load", "LoadError", "run_wrk", "write_requests"]
