"""The groups in which `rfctl --help` shows the commands."""

from __future__ import annotations

PANELS = {
    "Begin": "demo serve simulate",
    "Look": "stats top find doctor check inspect tail held",
    "Act on a person": "flush discard hold release adopt forget",
    "Act on deliveries": "pause resume resend dead quarantine",
    "Set up": "source config export",
}
"""Each group, and whose commands it has."""


def find_panel(command: str) -> str | None:
    """Return the group of a command; None for one that is in none."""
    return next((panel for panel, names in PANELS.items() if command in names.split()), None)
