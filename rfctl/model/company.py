"""The company (the tenant) that a message belongs to: a number, text, or None. Each form that it is stored in starts here.

What came as a JSON number stays a number, and what came as text stays text: "0123" is no number, and JavaScript rounds
one of 17 digits. Which company it is goes by the text alone, so 123 and "123" are the same company. A stored item has it
as JSON. The output stream has it as text, "" for none, and the items in it say which of the two it was.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

Company = int | str | None

encode_company: Callable[[Company], bytes] = msgspec.json.Encoder().encode
"""Returns the company as JSON: null, a number or a string."""


class _Item(msgspec.Struct):
    companyId: Company = None  # noqa: N815 - the stored name


_decode_item = msgspec.json.Decoder(_Item).decode


def format_company(company: Company) -> str:
    """Return the text by which companies are compared; "" for none."""
    return "" if company is None else str(company)


def decode_company(stored: Company) -> Company:
    """Return the company behind a stored one: "" is none."""
    return None if stored == "" else stored


def restore_company(text: str, first_item: bytes) -> Company:
    """Return the company of a merged message, whose text the stream has: a number if its first item has that number."""
    try:
        stored = _decode_item(first_item).companyId
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        stored = None
    return stored if text and format_company(stored) == text else decode_company(text)
