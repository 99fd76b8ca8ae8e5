"""How much of the faults a run tries: a part of each kind, or with TEST_FAULTS=all everything, in many minutes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

IS_WHOLE = os.environ.get("TEST_FAULTS") == "all"
T = TypeVar("T")


def group_modes(modes: Sequence[T]) -> list[tuple[T, ...]]:
    """Return the modes of each test: those of one group take turns from place to place. Each is alone in a whole run."""
    return [(mode,) for mode in modes] if IS_WHOLE else [tuple(modes)]
