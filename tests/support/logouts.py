"""What daemons tell each other of logouts, for a test where nobody logs out elsewhere."""

from __future__ import annotations

from collections.abc import Mapping


class NobodyElsewhere:
    """Takes every logout, and knows of none."""

    async def add(self, lifetimes_s: Mapping[str, int]) -> None:
        """Forget it."""

    async def contains(self, session_id: str) -> bool:
        """Say no."""
        return False
