"""What a person filled into a form: the answers, and as lines `name=value`. Pure.

WhatsApp sends the answers as JSON in a string, and the word "Sent" as the text, which the person never wrote.
A gateway of WhatsApp Web has them in a `nativeFlowResponseMessage`, and the answer to a button or a list there too.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rfctl.model.strict_json import find_json_fault
from rfctl.sources.parsing import repair_surrogates

_NOT_FILLED_IN = frozenset({"flow_token", "wa_flow_response_params"})
_CHOICES = frozenset({"quick_reply", "single_select", "menu_options"})
_OF_A_CHOICE = frozenset({"id", "title", "description", "display_text"})
_DEEPEST = 4
_WRAPPERS = ("interactiveresponsemessage", "nativeflowresponsemessage")
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str | None).decode
_decode_texts = msgspec.json.Decoder(str | list[str]).decode


Answers = dict[str, msgspec.Raw]
"""What was filled in, by the names in the form."""


def read_form(answers: str) -> Answers:
    """Return what was filled into a form, out of its JSON object; nothing when it is no such object."""
    raw = repair_surrogates(answers.encode(errors="replace"))
    try:
        fields = _decode_fields(raw)
    except (msgspec.DecodeError, RecursionError):
        return {}
    if find_json_fault(raw):
        return {}
    return {name: value for name, value in fields.items() if name not in _NOT_FILLED_IN}


def format_form(answers: Answers) -> str:
    """Return the answers of a form, one line `name=value` each."""
    return "\n".join(f"{name}={_format(bytes(value))}" for name, value in answers.items())


def _format(raw: bytes) -> str:
    """Return one value on one line: a text as it is, a list of texts with commas, and anything else as JSON."""
    try:
        value = _decode_texts(raw)
    except (msgspec.DecodeError, RecursionError):
        return raw.decode().strip()
    text = value if isinstance(value, str) else ", ".join(value)
    return " ".join(text.splitlines())


def read_native_flow(content: Mapping[str, msgspec.Raw]) -> Answers | None:
    """Return the answers of a form in a WhatsApp message; None when it is no form.

    `content` holds the message by its kind. Engines write the names in it with other capitals.
    """
    for _ in range(_DEEPEST):
        inner = {name.lower(): value for name, value in content.items()}
        if "paramsjson" in inner:
            break
        wrapper = next((inner[name] for name in _WRAPPERS if name in inner), None)
        if wrapper is None:
            return None
        content = _decode_or_nothing(wrapper)
    return _read_flow({name.lower(): value for name, value in content.items()})


def _read_flow(flow: Mapping[str, msgspec.Raw]) -> Answers | None:
    try:
        name, answers = (_decode_text(flow.get(key, b"null")) or "" for key in ("name", "paramsjson"))
    except msgspec.DecodeError:
        return None
    if name in _CHOICES or _OF_A_CHOICE.issuperset(_decode_or_nothing(answers.encode(errors="replace"))):
        return None
    return read_form(answers)


def _decode_or_nothing(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _decode_fields(raw)
    except (msgspec.DecodeError, RecursionError):
        return {}
