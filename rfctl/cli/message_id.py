"""Which merged message a command is about: the id as the stream has it, or with the shard, as receivers know it."""

from __future__ import annotations

from collections.abc import Sequence

from rfctl.errors import UsageError
from rfctl.store.stream_entry import is_message_id


def check_id(text: str) -> str:
    """Take only what has the form of an id. Raises UsageError."""
    if not is_message_id(text):
        raise UsageError(f"{text} is no id", next="ids look like 1758000000000-0")
    return text


def check_only_one(text: str, message_ids: Sequence[str]) -> None:
    """Refuse an id that means several messages, which only shards can bring about. Raises UsageError."""
    if len(set(message_ids)) > 1:
        raise UsageError(
            f"{text} means several messages", next=f"write one of {', '.join(sorted(set(message_ids)))}"
        )
