"""Opens the Redis that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rfctl.config.loader import Configuration
from rfctl.config.settings import EMBEDDED, Settings
from rfctl.errors import EmbeddedServerError, RfctlError
from rfctl.observe.daemon_files import list_living_daemons
from rfctl.store import BatchOptions, Keyspace, Store
from rfctl.store.embedded import EmbeddedAddress, find_embedded
from rfctl.store.embedded_folder import find_folder


def build_keyspace(settings: Settings) -> Keyspace:
    """Return the keys of these settings."""
    return Keyspace(settings.redis.shards, settings.output.stream, settings.redis.prefix)


def build_batch_options(settings: Settings) -> BatchOptions:
    """Return the options that the batch scripts get besides the messages."""
    batching = settings.batching
    return BatchOptions(batching.separator, batching.order, batching.overdue_ms)


def find_embedded_folder(configuration: Configuration) -> Path:
    """Return the state folder of the embedded server."""
    chosen = configuration.settings.redis.embedded_dir
    return Path(chosen) if chosen else configuration.environment.state_dir


def _find_running(configuration: Configuration) -> EmbeddedAddress:
    """Return the server in our folder. Raises EmbeddedServerError, which names that of another folder if a daemon has one."""
    try:
        return find_embedded(find_embedded_folder(configuration))
    except EmbeddedServerError as problem:
        for daemon in list_living_daemons(configuration.environment.runtime_dirs):
            if (folder := find_folder(daemon.url)) is not None:
                fact = (
                    f"{problem.fact}, and the daemon on this host (pid {daemon.pid}) has one in {folder.path}"
                )
                raise EmbeddedServerError(fact, next=folder.readers_line) from None
        raise


def open_store(
    configuration: Configuration,
    url: str | None = None,
    *,
    max_connections: int = 8,
    on_failure: Callable[[RfctlError], None] = lambda _: None,
) -> Store:
    """Return the store of these settings; `url` replaces their own. `on_failure` hears of each call that fails.

    Without a `url` an embedded server must already run. Raises EmbeddedServerError when it does not.
    """
    settings = configuration.settings
    if url is None and settings.redis.url == EMBEDDED:
        url = _find_running(configuration).url
    address = configuration.address(url)
    return Store.open(
        address, build_keyspace(settings), build_batch_options(settings), max_connections=max_connections,
        on_failure=on_failure,
    )  # fmt: skip
