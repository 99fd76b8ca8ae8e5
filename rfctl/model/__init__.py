"""Frozen types, closed sets of words, and the form in which a message is stored."""

from rfctl.model.company import Company
from rfctl.model.delivery import Delivery, RedisWrite
from rfctl.model.message import Media, Message, Unparsed
from rfctl.model.stored import Added, Batch, HandedOver, Merged, StoredMessage

__all__ = [
    "Added",
    "Batch",
    "Company",
    "Delivery",
    "HandedOver",
    "Media",
    "Merged",
    "Message",
    "RedisWrite",
    "StoredMessage",
    "Unparsed",
]
