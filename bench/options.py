"""The options that the programs share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def build_parser(description: str, *, cycles: int, seconds: float) -> argparse.ArgumentParser:
    """Return a parser with --cycles, --seconds and --out."""
    parser = argparse.ArgumentParser(prog=sys.argv[0], description=description)
    parser.add_argument(
        "--cycles", type=int, default=cycles, help=f"how often all of it is measured ({cycles})"
    )
    parser.add_argument(
        "--seconds", type=float, default=seconds, help=f"how long each measurement takes ({seconds:g})"
    )
    parser.add_argument("--out", type=Path, help="a folder for the figures as JSON")
    return parser
