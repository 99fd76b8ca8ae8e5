"""The files for other programs that travel with the package, as `rfctl export` prints them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal

PackagedFile = Literal[
    "rfctl.service", "rfctl@.service", "rfctl.socket", "rfctl@.socket", "notify-reload.conf", "tmpfiles.d/rfctl.conf",
    "alerts.yml", "grafana.json", "rfctl.bash", "_rfctl", "rfctl.fish", "rfctl.1", "rfctl.toml.5", "rfctl.7",
]  # fmt: skip
UNITS: tuple[PackagedFile, ...] = ("rfctl.service", "rfctl@.service", "rfctl.socket", "rfctl@.socket")
"""Those that an operator installs for systemd."""
_FOLDERS = ("deploy", "completions", "man")
"""Where these files are in a checkout."""


def read_packaged(name: PackagedFile) -> str:
    """Return a file of this version."""
    installed = resources.files("rfctl").joinpath("data", name)
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    root = Path(__file__).parents[2]  # an editable installation
    checkout = next(path for folder in _FOLDERS if (path := root / folder / name).is_file())
    return checkout.read_text(encoding="utf-8")
