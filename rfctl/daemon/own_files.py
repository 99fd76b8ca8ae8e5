"""The program's own files, which a daemon reads at its start: an upgrade puts others in their place while it runs.

An old daemon with one script or page of the new version would be a program that nobody has tried.
"""

from __future__ import annotations

from importlib import import_module

from rfctl.page.static_files import read_static_files
from rfctl.sources.presets import read_presets
from rfctl.sources.registry import SPECS
from rfctl.store.scripts import read_scripts

_IMPORTED_LATE = (
    "rfctl.observe.metrics.exposition",
    "rfctl.sources.stand_ins",
    *(spec.stand_in.partition(":")[0] for spec in SPECS.values()),
)
"""What is imported only where it is needed."""


def read_own_files() -> None:
    """Read every file of the package that a running daemon may need. It takes some ten milliseconds."""
    read_scripts()
    read_presets()
    read_static_files()
    for module in _IMPORTED_LATE:
        import_module(module)
