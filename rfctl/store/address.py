"""The address of a Redis, as the settings name it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rfctl.text import mask_url


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is, and who set that. Timeouts in ms. `shards_set_by` is who set the number of shards, "" if unknown.

    `tls_origins` has, for what the URL calls a file, the setting that it is from, and who set that.
    """

    url: str
    set_by: str
    connect_timeout_ms: int = 1500
    timeout_ms: int = 2000
    overrides: str = ""
    shards_set_by: str = ""
    tls_origins: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def shown(self) -> str:
        """Return the URL without its password."""
        return mask_url(self.url)
