"""The company (the tenant) that a message belongs to: text, or None. Each form that it is stored in starts here.

A stored item has it as JSON, and as a number where it is one: so the Node service wrote it. The output stream has
it as text, "" for none.
"""

from __future__ import annotations

import re

import msgspec

Company = str | None

_JSON_INTEGER = re.compile(r"[1-9][0-9]{0,17}|0")
_EXACT_DIGITS = 15
"""A number of more digits is not exact in JavaScript."""
_encode = msgspec.json.Encoder().encode


def encode_company(company: Company) -> bytes:
    """Return the company as JSON: null, a number where it is one, else a string."""
    if company is not None and _JSON_INTEGER.fullmatch(company):
        return company.encode()
    return _encode(company)


def build_company_value(company: Company) -> int | str | None:
    """Return the company for a receiver's JSON: a number where it is one, but text where JavaScript would round it."""
    if company and _JSON_INTEGER.fullmatch(company) and len(company) <= _EXACT_DIGITS:
        return int(company)
    return company or None


def decode_company(stored: int | str | None) -> Company:
    """Return the company behind any stored form: a number, text, "" or None."""
    return None if stored in (None, "") else str(stored)
