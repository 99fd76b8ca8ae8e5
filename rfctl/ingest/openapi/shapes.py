"""The shapes of bodies, as JSON Schema: what the generic form takes, and what answers are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rfctl.model.message import MAX_COMPANY_CHARS, MAX_ID_CHARS, MAX_PHONE_CHARS
from rfctl.observe.facts.probe import ProbeReport
from rfctl.sources.generic.node_form import MAX_MESSAGES, list_item_types

Schema = dict[str, Any]
_PREFIX = "#/components/schemas/"
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_BOUNDS: Mapping[str, int] = {
    "from": MAX_PHONE_CHARS, "messageId": MAX_ID_CHARS, "id": MAX_ID_CHARS, "companyId": MAX_COMPANY_CHARS, "type": 64,
}  # fmt: skip
_DAY = "(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
_ZONE = "(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])"
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,6})?)?"
_MOMENT = f"(?:19[7-9][0-9]|2[0-9]{{3}})-{_DAY}(?:[T ]{_CLOCK}{_ZONE}?)?"
"""ISO 8601, as far as a pattern says it: 29 February is taken too."""
_NARROWER: Mapping[str, Schema] = {
    "from": {"type": ["integer", "string"], "pattern": "[0-9A-Za-z]"},
    "message": {"type": "string", "minLength": 1},
    "body": {"type": ["null", "string"], "minLength": 1},
    "timestamp": {
        "type": ["integer", "null", "number", "string"], "minimum": 0, "maximum": 10**14,
        "pattern": rf"^(?:[0-9]{{1,14}}|{_MOMENT})?$",
    },
}  # fmt: skip
"""Where a field is taken in fewer forms than its types say: what else is sent gets 400, in words."""
_MEANINGS: Mapping[str, str] = {
    "from": "Who sent it: a phone number, or another id of the sender.",
    "message": "What they wrote. It must not be empty, nor longer than batching.max_text_bytes.",
    "body": "Another name for message; message comes before it.",
    "type": "What kind of message it is.",
    "timestamp": "When it was sent: Unix s or ms, or ISO 8601.",
    "messageId": "The message's own id: a repeat of it changes nothing. Without it rfctl makes an id.",
    "id": "Another name for messageId.",
    "companyId": "The tenant that it was sent to.",
    "metadata": "What the bot gets with it, as it stands here.",
    "simulated": "That no person sent it. It is never in one batch with what people sent.",
}


def refer_to(name: str) -> Schema:
    """Return what stands for a shape."""
    return {"$ref": _PREFIX + name}


def build_shapes() -> dict[str, Schema]:
    """Return every shape, by its name."""
    return {**_build_forms(), **_build_answers(), **describe_types(ProbeReport)}


def describe_types(*types: type) -> dict[str, Schema]:
    """Return the shapes of these types and of their parts, by their names."""
    _, parts = msgspec.json.schema_components(types, ref_template=_PREFIX + "{name}")
    shapes: dict[str, Schema] = msgspec.json.decode(msgspec.json.encode(parts))  # plain JSON: it has tuples
    return shapes


def _build_forms() -> dict[str, Schema]:
    fields = {name: _describe(name, types) for name, types in list_item_types().items()}
    message = {
        "type": "object",
        "properties": fields,
        "required": ["from", "message"],  # `body` alone will do: a generator has no type for that
        "not": {"required": ["messages"]},  # with them it is the other form
    }
    messages = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_MESSAGES,
        "items": refer_to("GenericMessage"),
        "description": "Several messages, of one person or of many. All are stored, or none is. companyId and "
        "simulated beside it are for those that have none of their own.",
    }
    several = {"type": "object", "properties": {**fields, "messages": messages}, "required": ["messages"]}
    return {
        "GenericMessage": message,
        "GenericMessages": several,
        "GenericRequest": {"anyOf": [refer_to("GenericMessage"), refer_to("GenericMessages")]},
    }


def _describe(name: str, types: list[str]) -> Schema:
    schema: Schema = {"type": types[0] if len(types) == 1 else types, "description": _MEANINGS[name]}
    schema |= _NARROWER.get(name, {})
    return {**schema, "maxLength": _BOUNDS[name]} if name in _BOUNDS else schema


def make_object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the shape of an answer. More fields may come with a later version."""
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def make_list(item: Schema) -> Schema:
    """Return the shape of a list of these."""
    return {"type": "array", "items": item}


def _build_answers() -> dict[str, Schema]:
    yes: Schema = {"const": True}
    thrown_away = make_list({"description": "A message as it was stored."})
    batch = make_object({"phone": _TEXT, "size": _COUNT, "dueInMs": _COUNT})
    drop = make_object({"phone": _TEXT, "rule": _TEXT})
    age: Schema = {"type": ["integer", "null"], "minimum": 0}
    pending = make_object({"phone": _TEXT, "size": _COUNT, "lastMessageAge": age})
    hold = make_object(
        {"until": {"type": "string", "format": "date-time"}, "size": _COUNT, "batch_key": _TEXT}
    )
    facts = {
        "redis": _TEXT, "db": _COUNT, "run_id": _TEXT, "set_by": _TEXT, "lastTurnMs": _COUNT, "problem": _TEXT,
        "next": _TEXT, "findings": make_list({"type": "object"}),
    }  # fmt: skip
    return {
        "Problem": make_object({"success": {"const": False}, "error": _TEXT}),
        "Receipt": make_object(
            {"success": yes, "addedCount": _COUNT, "duplicates": _COUNT, "batches": make_list(batch)},
            {"dropped": make_list(drop)},
        ),
        "Pending": make_object(
            {
                "success": yes,
                "stats": make_object({"pendingBatches": _COUNT, "batches": make_list(pending)}),
            }
        ),
        "Discarded": make_object(
            {
                "success": yes,
                "phone": _TEXT,
                "removed": {"type": "integer", "minimum": 1},
                "messages": thrown_away,
            }
        ),
        "Held": make_object({"success": yes, "phone": _TEXT, "held": make_list(hold)}),
        "Released": make_object(
            {
                "success": yes,
                "phone": _TEXT,
                "done": {"enum": ["discarded", "handed over"]},
                "count": _COUNT,
                "ids": make_list(_TEXT),
            },
            {"messages": thrown_away},
        ),
        "Health": make_object({"status": {"const": "ok"}}),
        "Ready": make_object({"status": {"const": "ready"}}, facts),
        "NotReady": make_object({"status": {"const": "not ready"}, "reason": _TEXT}, facts),
        "Document": make_object({"openapi": _TEXT, "paths": {"type": "object"}}),
    }
