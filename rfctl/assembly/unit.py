"""The systemd unit, as `rfctl export unit` prints it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def read_unit() -> str:
    """Return the unit of this version."""
    installed = resources.files("rfctl").joinpath("data", "rfctl.service")
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    checkout = Path(__file__).parents[2] / "deploy" / "rfctl.service"  # an editable installation
    return checkout.read_text(encoding="utf-8")
