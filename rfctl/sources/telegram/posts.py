"""What a post of Telegram says: its words, its file, and facts for the metadata. Pure."""

from __future__ import annotations

from typing import Any

from rfctl.model.message import Media, normalize_phone
from rfctl.sources.parsing import Contact, first_nonempty
from rfctl.sources.telegram.schema import FILES, Post, Shared, User


def find_text(post: Post) -> str:
    """Return the words of a post, or ""."""
    return first_nonempty(
        post.text,
        post.caption,
        post.poll.question if post.poll else "",
        post.dice.emoji if post.dice else "",
        post.web_app_data.button_text if post.web_app_data else "",
    )


def find_media(post: Post) -> tuple[Media, ...]:
    """Return the one file of a post; a photo comes in several sizes, of which the largest counts."""
    photo = max(post.photo, key=lambda size: size.width * size.height, default=None)
    file = photo or next(filter(None, (getattr(post, name) for name in FILES)), None)
    if not file:
        return ()
    return (Media(id=file.file_id, mime=file.mime_type, caption=post.caption, name=file.file_name),)


def find_facts(post: Post) -> dict[str, Any]:
    """Return what a worker may want to know without reading `raw`."""
    return {
        **describe_person(post.sender),
        "chatTitle": post.chat.title,
        "mediaGroup": post.media_group_id,
        "location": _location(post),
        "contacts": [_contact(post.contact)] if post.contact else [],
        "button": post.web_app_data.data if post.web_app_data else "",
        "emoji": post.sticker.emoji if post.sticker else "",
        "dice": post.dice.value if post.dice else None,
    }


def describe_person(user: User | None) -> dict[str, str]:
    """Return who wrote it, for the metadata."""
    return {"senderName": _name(user), "username": user.username} if user else {}


def _name(person: User | Shared) -> str:
    return f"{person.first_name} {person.last_name}".strip()


def _contact(shared: Shared) -> Contact:
    return Contact(_name(shared), normalize_phone(shared.phone_number))


def _location(post: Post) -> dict[str, Any]:
    place = post.venue.location if post.venue else post.location
    if not place:
        return {}
    venue = {"name": post.venue.title, "address": post.venue.address} if post.venue else {}
    return {"latitude": place.latitude, "longitude": place.longitude, **venue}


def find_caption(post: Post | None, data: str) -> str:
    """Return what is written on the button that sends this data."""
    rows = post.reply_markup.inline_keyboard if post and post.reply_markup else []
    return next((button.text for row in rows for button in row if data and button.callback_data == data), "")
