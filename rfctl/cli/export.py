"""`rfctl export`: files for other programs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import typer

app = typer.Typer(help="Print files for other programs.", no_args_is_help=True)


def _unit() -> str:
    installed = resources.files("rfctl").joinpath("data", "rfctl.service")
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    checkout = Path(__file__).parents[2] / "deploy" / "rfctl.service"  # an editable installation
    return checkout.read_text(encoding="utf-8")


@app.callback()
def export() -> None:
    """Print files for other programs."""


@app.command("unit")
def unit() -> None:
    """Print the systemd unit: rfctl export unit > /etc/systemd/system/rfctl.service."""
    typer.echo(_unit(), nl=False)
