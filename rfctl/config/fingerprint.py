"""A hash of the settings that are in force, to see whether two processes run on the same."""

from __future__ import annotations

import hashlib
import json

from rfctl.config.options import configured_options, value_of
from rfctl.config.settings import Settings

_OF_A_PROCESS = ("redis.", "http.host", "http.port", "daemon.role", "daemon.monitor", "log.")
"""Prefixes of the settings in which a shell, or another daemon of the same system, differs rightly."""


def compute_fingerprint(settings: Settings) -> str:
    """Return 12 hex digits of all settings that daemons and shells share. Secrets are not in it: not all may read them."""
    values = {
        option.name: value_of(settings, option.name)
        for option in configured_options(settings)
        if not option.secret and not option.name.startswith(_OF_A_PROCESS)
    }
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
