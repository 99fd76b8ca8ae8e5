"""The index of batches whose key does not follow from a phone alone: its entries are `phone NUL batch key`."""

from __future__ import annotations


def phone_range(phone: str) -> tuple[str, str]:
    """Return the bounds, by bytes, of a phone's entries in the index of phones."""
    return f"[{phone}\0&", f"({phone}\0'"


def split_phone_entry(entry: str) -> tuple[str, str]:
    """Return the phone and the batch key of an entry of the index of phones. A phone may have any character."""
    phone, _, batch_key = entry.rpartition("\0")
    return phone, batch_key
