"""The bodies of the actions. A field that nobody knows is refused: a misspelled `discard` must not hand over."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of hand-over and discard."""

    batch_key: str


class SinkBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of resume and resend."""

    sink: str


class PauseBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of pause. The note is what everybody sees as the reason."""

    sink: str
    note: str = ""


class HoldBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of hold: for how long, such as 90s, 30m, 2h or 7d, and why."""

    phone: str
    duration: str = msgspec.field(name="for", default="24h")
    note: str = ""


class ReleaseBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of release: whether what came meanwhile is thrown away, and not handed over."""

    phone: str
    discard: bool = False


BODIES: Mapping[str, type[msgspec.Struct]] = {
    "hand-over": BatchBody,
    "discard": BatchBody,
    "pause": PauseBody,
    "resume": SinkBody,
    "resend": SinkBody,
    "hold": HoldBody,
    "release": ReleaseBody,
}
"""The body of each action."""
