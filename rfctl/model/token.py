"""The tokens that open the daemon's addresses: how short one may be, and how to make one."""

from __future__ import annotations

MIN_TOKEN_CHARS = 16
"""So many characters a token has at least that may not be guessed: of hex digits alone they have 64 bits.

The door bounds how fast strangers try tokens. A stolen session does not: it can be held against tokens anywhere.
"""
RECIPE = "openssl rand -hex 24"
"""The command that makes one."""
