"""What an operator should know of the settings, although nothing in them is wrong."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rfctl.config.options import find_option, mask_value
from rfctl.config.settings import Settings
from rfctl.sources.registry import GENERIC
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
    return [*notices, *_companies_that_are_missing(configuration.settings)]


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


def _companies_that_are_missing(settings: Settings) -> Iterator[str]:
    """Yield each name with {company} in it that some source's messages fill with "none": only JSON can name a company."""
    nameless = [
        f"[sources.{name}]"
        for name, source in settings.sources.items()
        if not source.names_company and source.type != GENERIC
    ]
    for name, sink in settings.sinks.items():
        for setting in ("queue", "key"):
            template = getattr(sink, setting, "")
            if nameless and "{company}" in template:
                filled = template.replace("{company}", "none")
                yield (
                    f"sinks.{name}.{setting} has {{company}}, and {', '.join(nameless)} has none: its messages go to {filled}"
                )


def _holds_secret(configuration: Configuration, path: Path) -> bool:
    return any(
        origin.set_by.startswith(f"{path}:") and mask_value(find_option(name), origin.value) != origin.value
        for name, origins in configuration.origins.items()
        for origin in origins
    )
