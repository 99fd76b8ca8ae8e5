"""How screens show phones: the cases that `rfctl.text.show_phone` and the page's script must agree on."""

from __future__ import annotations

MASKED = {
    "79001234567": "+7 900 •••67",
    "+79001234567": "+7 900 •••67",
    "12025550143": "+1 202 •••43",
    "5511998765400": "+55 11 •••00",
    "4915112345678": "+49 15 •••78",
    "972541234512": "+972 54 •••12",
    "123456789": "+1 23 •••89",
    "491234567": "+49 1 •••67",
    "972123456": "+972 •••56",
    "12345678": "12•••78",
    "1234567": "1•••",
    "@a1": "@•••",
    "@anna-marie": "@anna•••ie",
    "120363041234567890": "12036•••90",
}
"""What hides least is a number of nine digits: four of them are hidden."""
WHOLE = {
    "79001234567": "+79001234567", "+79001234567": "+79001234567", "12345678": "12345678", "@anna": "@anna",
    "a\u202eb": "a\\u202eb",
}  # fmt: skip
