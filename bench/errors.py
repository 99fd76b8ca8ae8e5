"""The error of a measurement that cannot be made."""

from __future__ import annotations


class BenchError(Exception):
    """Something that the measurement needs is missing, or has failed. The text says what."""
