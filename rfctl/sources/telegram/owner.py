"""Whether the owner of a business account wrote something. Pure."""

from __future__ import annotations

from rfctl.sources.telegram.schema import Post


def is_by_hand(post: Post) -> bool:
    """Say whether the owner wrote a post to a person. `sender_business_bot` names the bot that wrote it instead."""
    author = post.sender
    is_owner = author is not None and not author.is_bot and author.id != post.chat.id
    return is_owner and bool(post.business_connection_id) and post.sender_business_bot is None
