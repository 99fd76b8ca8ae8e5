"""What an operator should know of the settings, although nothing in them is wrong."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from rfctl.config.options import find_option, mask_value
from rfctl.text import mask_url

if TYPE_CHECKING:
    from rfctl.config.loader import Configuration


def list_notices(configuration: Configuration) -> list[str]:
    """Return one line for each thing that is worth a look."""
    notices = []
    if ignored := find_ignored_url(configuration):
        used = mask_url(configuration.settings.redis.url)
        notices.append(
            f"REDIS_URL is set to {ignored} and not used: "
            f"redis.url is {used}, set by {configuration.set_by('redis.url')}"
        )
    notices += [
        f"{path} holds secrets and every user can read it: chmod o-r {path}"
        for path in list_open_files(configuration)
    ]
    return notices


def find_ignored_url(configuration: Configuration) -> str:
    """Return a REDIS_URL that is set and not used, masked; "" if there is none."""
    return mask_url(configuration.environment.variables.get("REDIS_URL", ""))


def list_open_files(configuration: Configuration) -> list[Path]:
    """Return the settings files that hold secrets and that every user can read."""
    return [
        path
        for path in configuration.files
        if path.stat().st_mode & stat.S_IROTH and _holds_secret(configuration, path)
    ]


def _holds_secret(configuration: Configuration, path: Path) -> bool:
    return any(
        origin.set_by.startswith(f"{path}:") and mask_value(find_option(name), origin.value) != origin.value
        for name, origins in configuration.origins.items()
        for origin in origins
    )
