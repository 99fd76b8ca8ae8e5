"""What a Telegram update looks like: the fields that are read, and the names of what a message can hold.

Taken from https://core.telegram.org/bots/api ; what is not named here is ignored, and kept in `raw`. A message
with a field of the wrong type is unparsed.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

TYPES = {
    "text": "text", "photo": "image", "animation": "video", "video": "video", "video_note": "video",
    "voice": "voice", "audio": "audio", "document": "document", "sticker": "sticker", "venue": "location",
    "location": "location", "contact": "contacts", "poll": "poll", "dice": "dice", "web_app_data": "button",
}  # fmt: skip
"""What a message holds, and its type with us; an animation repeats itself as a document, a venue as a location."""
FILES = ("animation", "video", "video_note", "voice", "audio", "document", "sticker")
ABOUT = frozenset({
    "message_id", "message_thread_id", "direct_messages_topic", "from", "sender_chat", "sender_boost_count",
    "sender_business_bot", "sender_tag", "date", "guest_query_id", "business_connection_id", "chat",
    "forward_origin", "is_topic_message", "is_automatic_forward", "reply_to_message", "external_reply",
    "quote", "reply_to_story", "reply_to_checklist_task_id", "reply_to_poll_option_id", "via_bot",
    "edit_date", "has_protected_content", "is_from_offline", "is_paid_post", "media_group_id",
    "author_signature", "paid_star_count", "entities", "link_preview_options", "suggested_post_info",
    "effect_id", "caption", "caption_entities", "show_caption_above_media", "has_media_spoiler",
    "reply_markup",
})  # fmt: skip
"""What stands around a message and is not what it holds."""
SERVICE = frozenset({
    "new_chat_members", "left_chat_member", "chat_owner_left", "chat_owner_changed", "new_chat_title",
    "new_chat_photo", "delete_chat_photo", "group_chat_created", "supergroup_chat_created",
    "channel_chat_created", "message_auto_delete_timer_changed", "migrate_to_chat_id",
    "migrate_from_chat_id", "pinned_message", "refunded_payment", "connected_website", "write_access_allowed",
    "gift", "unique_gift", "gift_upgrade_sent", "giveaway", "giveaway_winners", "poll_option_added",
    "poll_option_deleted", "suggested_post_approved", "suggested_post_approval_failed", "suggested_post_declined",
    "suggested_post_paid", "suggested_post_refunded", "managed_bot_created",
    "proximity_alert_triggered", "boost_added", "chat_background_set", "checklist_tasks_done",
    "checklist_tasks_added", "direct_message_price_changed", "paid_message_price_changed",
    "forum_topic_created", "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened",
    "general_forum_topic_hidden", "general_forum_topic_unhidden", "giveaway_created", "giveaway_completed",
    "video_chat_scheduled", "video_chat_started", "video_chat_ended", "video_chat_participants_invited",
})  # fmt: skip
"""What a chat says of itself. Payments, shared users and passports are none: by them a person answers the bot."""
EVENTS = frozenset({
    "business_connection", "message_reaction_count", "inline_query", "chosen_inline_result", "shipping_query",
    "pre_checkout_query", "purchased_paid_media", "poll", "poll_answer", "my_chat_member", "chat_member",
    "chat_join_request", "chat_boost", "removed_chat_boost", "managed_bot", "subscription",
})  # fmt: skip
"""The kinds of updates that bring no message."""

# Bounded: an integer that no 64 bits hold could be read, but not be written again.
_Id = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
_Nothing = msgspec.Raw(b"")


class User(msgspec.Struct, gc=False):
    """A person or a bot."""

    id: _Id
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""
    username: str = ""


class Chat(msgspec.Struct, gc=False):
    """A chat: private, group, supergroup or channel; its id may be negative."""

    id: _Id
    type: str = ""
    title: str = ""


class File(msgspec.Struct):
    """A file, or one size of a photo (pixels)."""

    file_id: str
    mime_type: str = ""
    file_name: str = ""
    width: _Id = 0
    height: _Id = 0
    emoji: str = ""


class Place(msgspec.Struct):
    """A point in degrees."""

    latitude: float
    longitude: float


class Venue(msgspec.Struct):
    """A place that has a name."""

    location: Place
    title: str = ""
    address: str = ""


class Shared(msgspec.Struct):
    """A Contact: a person out of the sender's address book."""

    phone_number: str = ""
    first_name: str = ""
    last_name: str = ""


class Poll(msgspec.Struct):
    """A poll."""

    question: str = ""


class Dice(msgspec.Struct):
    """A die, a dart or a ball that was thrown."""

    emoji: str = ""
    value: _Id = 0


class WebApp(msgspec.Struct):
    """What a Web App sent when its button was pressed."""

    data: str = ""
    button_text: str = ""


class Button(msgspec.Struct):
    """An inline button and what it sends."""

    text: str = ""
    callback_data: str = ""


class Keyboard(msgspec.Struct):
    """The inline buttons under a message."""

    inline_keyboard: list[list[Button]] = []


class Post(msgspec.Struct, rename={"sender": "from"}):
    """A Message; also, with little in it, the message that a pressed button belongs to."""

    message_id: _Id
    chat: Chat
    date: _Id = 0
    edit_date: _Id = 0
    sender: User | None = None
    sender_chat: Chat | None = None
    sender_business_bot: User | None = None
    business_connection_id: str = ""
    message_thread_id: _Id = 0
    is_topic_message: bool = False
    reply_to_message: Replied | None = None
    media_group_id: str = ""
    text: str = ""
    caption: str = ""
    photo: list[File] = []
    animation: File | None = None
    video: File | None = None
    video_note: File | None = None
    voice: File | None = None
    audio: File | None = None
    document: File | None = None
    sticker: File | None = None
    venue: Venue | None = None
    location: Place | None = None
    contact: Shared | None = None
    poll: Poll | None = None
    dice: Dice | None = None
    web_app_data: WebApp | None = None
    reply_markup: Keyboard | None = None


class Replied(msgspec.Struct):
    """The message that is answered."""

    message_id: _Id


class Pressed(msgspec.Struct, rename={"sender": "from"}):
    """A CallbackQuery: an inline button was pressed; `message` is the one that it stands under."""

    id: str
    sender: User
    message: Post | None = None
    data: str = ""
    game_short_name: str = ""


class Emoji(msgspec.Struct):
    """A ReactionType; a custom emoji or a paid reaction has no `emoji`."""

    emoji: str = ""


class Reaction(msgspec.Struct):
    """A MessageReactionUpdated: all reactions that one person now has on a message."""

    chat: Chat
    message_id: _Id
    new_reaction: list[Emoji]
    date: _Id = 0
    user: User | None = None
    actor_chat: Chat | None = None


class Deleted(msgspec.Struct):
    """A BusinessMessagesDeleted."""

    business_connection_id: str
    chat: Chat
    message_ids: Annotated[list[_Id], msgspec.Meta(min_length=1)]


class Update(msgspec.Struct):
    """An Update: at most one of its kinds is there."""

    update_id: _Id
    message: msgspec.Raw = _Nothing
    edited_message: msgspec.Raw = _Nothing
    channel_post: msgspec.Raw = _Nothing
    edited_channel_post: msgspec.Raw = _Nothing
    business_message: msgspec.Raw = _Nothing
    edited_business_message: msgspec.Raw = _Nothing
    deleted_business_messages: msgspec.Raw = _Nothing
    guest_message: msgspec.Raw = _Nothing
    callback_query: msgspec.Raw = _Nothing
    message_reaction: msgspec.Raw = _Nothing


decode_update = msgspec.json.Decoder(Update).decode
decode_post = msgspec.json.Decoder(Post).decode
decode_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
decode_pressed = msgspec.json.Decoder(Pressed).decode
decode_reaction = msgspec.json.Decoder(Reaction).decode
decode_deleted = msgspec.json.Decoder(Deleted).decode
