"""The files for other programs that travel with the package, as `rfctl export` prints them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Literal

PackagedFile = Literal[
    "rfctl.service", "rfctl@.service", "rfctl.socket", "rfctl@.socket", "notify-reload.conf", "tmpfiles.d/rfctl.conf",
    "alerts.yml", "grafana.json",
]  # fmt: skip

UNITS: tuple[PackagedFile, ...] = ("rfctl.service", "rfctl@.service", "rfctl.socket", "rfctl@.socket")
"""Those that an operator installs for systemd."""


def read_packaged(name: PackagedFile) -> str:
    """Return a file of this version."""
    installed = resources.files("rfctl").joinpath("data", name)
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    checkout = Path(__file__).parents[2] / "deploy" / name  # an editable installation
    return checkout.read_text(encoding="utf-8")
