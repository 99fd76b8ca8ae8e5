"""From the settings to the addresses of the receivers of sinks."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from rfctl.assembly.sinks import list_forwarded_sinks
from rfctl.config.loader import Configuration
from rfctl.observe.facts import ReceiverAddress

_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671}
_TLS = frozenset({"https", "rediss", "amqps"})


def list_receiver_addresses(configuration: Configuration) -> tuple[ReceiverAddress, ...]:
    """Return where sinks deliver by a network; a queue in our own Redis, a file or a program is none."""
    return tuple(_iterate(configuration))


def _iterate(configuration: Configuration) -> Iterator[ReceiverAddress]:
    for name, sink in list_forwarded_sinks(configuration.settings).items():
        parts = _split(getattr(sink, "url", ""))
        if parts is None or parts.scheme not in _PORTS or not parts.hostname:
            continue
        is_http = parts.scheme in ("http", "https")
        yield ReceiverAddress(
            sink=name,
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            is_tls=parts.scheme in _TLS,
            asks_date=is_http,
            is_public_only=is_http and not getattr(sink, "allow_private", True),
            connect_timeout_ms=getattr(sink, "connect_timeout_ms", 5000),
            set_by=configuration.set_by(f"sinks.{name}.url"),
        )


def _split(url: object) -> SplitResult | None:
    """Return the parts of a URL, None where it has none."""
    try:
        parts = urlsplit(str(url or ""))
        return parts if parts.port is None or parts.port else None
    except ValueError:
        return None
