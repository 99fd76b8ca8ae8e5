"""What is wrong with a map, in words: each path that can never match, each name that nobody reads. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rfctl.model.closed_sets import MESSAGE_TYPES
from rfctl.sources.generic.conditions import SKIP_KEYS, spell
from rfctl.sources.generic.elements import split_lists
from rfctl.sources.generic.json_path import Path
from rfctl.text import did_you_mean

FACTS = (
    "phone", "text", "id", "company", "account", "chat", "album", "name", "time", "type", "refers", "caption",
    "media_url", "media_mime", "media_id", "media_name", "form", "platform", "event",
)  # fmt: skip
FILES = ("media_url", "media_mime", "media_id", "media_name", "caption")
"""The facts of a file. A message may have several, so a path of them may have a `*`."""
CONDITIONS = (*SKIP_KEYS, "only_if", "chat_if", "by_hand_if")
MAP_KEYS = ("each", *FACTS, "own_phone", "messages", *CONDITIONS, "types", "type_if", "platforms")
MERGED_TABLES = ("types", "type_if", "platforms")
"""The tables in which an entry of the settings replaces that of a preset, and leaves the others."""
_PLATFORM = re.compile(r"[a-z0-9_-]{1,32}")
OTHERS = "*"
"""The types that a table of a fact does not name."""
_CONTENT = ("text", "media_url", "media_id", "type_if")
_ONCE_FOR_ALL = ("type", "event")
_WANTS_TEXT = "write texts, numbers, true or false"


def drop_empty(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a map without the keys, and the entries of its tables, that are set to an empty text: they set nothing."""
    return {
        key: {name: entry for name, entry in value.items() if entry != ""}
        if key in MERGED_TABLES and isinstance(value, dict)
        else value
        for key, value in mapping.items()
        if value != ""
    }


def check_mapping(mapping: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a mapping, one line each; an empty list when nothing is."""
    problems = [f"unknown key `{key}`{_suggest(key)}" for key in mapping if key not in MAP_KEYS]
    each_fault = Path.find_fault(mapping["each"], stars=9) if "each" in mapping else ""
    if not each_fault and _begins_above(str(mapping.get("each", ""))):
        each_fault = "is no path of a list in the body: it begins at the top, without ^"
    if each_fault:
        return [*problems, f"`each`: `{mapping['each']}` {each_fault}"]
    depth = len(split_lists(mapping.get("each", "")))
    for key, value in mapping.items():
        problems += [f"`{key}`: {fault}" for fault in _check_key(key, value, depth)]
    return [*problems, *_check_whole(mapping)]


def _suggest(key: str) -> str:
    return did_you_mean(key, MAP_KEYS) or f": one of {', '.join(MAP_KEYS)}"


def _begins_above(path: str) -> bool:
    return Path.parse(path).up > 0


def _check_key(key: str, value: Any, depth: int) -> Iterator[str]:
    if key in FACTS:
        yield from _check_fact(key, value, depth)
    elif key in CONDITIONS:
        yield from _check_condition(value, depth)
    elif key == "own_phone":
        yield from _check_paths(value, depth)
    elif key == "messages":
        yield from _check_values(value)
    elif key == "types":
        yield from _check_types(value)
    elif key == "type_if":
        yield from _check_type_conditions(value, depth)
    elif key == "platforms":
        yield from _check_platforms(value)


def _check_whole(mapping: Mapping[str, Any]) -> Iterator[str]:
    if "phone" not in mapping:
        yield "`phone` is missing: where does it say who sent the message?"
    if not any(key in mapping for key in _CONTENT):
        yield "neither `text` nor `media_url` nor `media_id` is set: what is there to hand over?"
    if ("event" in mapping) != ("messages" in mapping):
        yield "`event` and `messages` go together: the path of an event's name, and the names that are messages"
    yield from _check_own_words(mapping)
    if "chat_if" in mapping and "chat" not in mapping:
        yield "`chat_if`: is for the value at `chat`, which is not set"
    if "platforms" in mapping and "platform" not in mapping:
        yield "`platforms`: is for the values at `platform`, which is not set"
    if "types" in mapping and "type" not in mapping:
        yield "`types`: is for the values at `type`, which is not set"


def _check_own_words(mapping: Mapping[str, Any]) -> Iterator[str]:
    keys = {"own_phone", "by_hand_if"} & mapping.keys()
    if len(keys) == 1:
        yield (
            "`own_phone` and `by_hand_if` go together: whom our own words are to, and which of them a person wrote. What the "
            "bot sends must hold nobody"
        )


def _check_fact(key: str, value: Any, depth: int) -> Iterator[str]:
    if not isinstance(value, dict):
        yield from _check_paths(value, depth, stars=int(key in FILES))
        return
    if key in _ONCE_FOR_ALL:
        yield "is the same for all types: write a path, or a list of them"
        return
    for name, paths in value.items():
        yield from _check_type_name(name, (*MESSAGE_TYPES, OTHERS))
        yield from _check_paths(paths, depth, stars=int(key in FILES))
    if not value:
        yield "names no path"


def _check_paths(value: Any, depth: int, stars: int = 0) -> Iterator[str]:
    """Yield what is wrong with a path, or with a list of them of which the first that leads to something counts."""
    listed = value if isinstance(value, list) else [value]
    if not listed:
        yield "names no path"
    for place, text in enumerate(listed):
        if fault := find_path_fault(text, depth, stars):
            yield f"`{text}` {fault}"
            continue
        path = Path.parse(text)
        earlier = [other for other in listed[:place] if not find_path_fault(other, depth, stars)]
        if shadow := next((other for other in earlier if _is_shadowed(path, Path.parse(other))), ""):
            yield f"`{text}` can never be used: where it leads somewhere, `{shadow}` before it does too"


def find_path_fault(text: Any, depth: int, stars: int = 0) -> str:
    """Return why a path can never match below `depth` lists; "" when it can."""
    if fault := Path.find_fault(text, stars=stars):
        return fault
    if Path.parse(text).up > depth:
        lists = f"`each` has {depth} `*`" if depth else "there is no `each`"
        return f"can never match: it goes up further than the body, and {lists}"
    return ""


def _is_shadowed(path: Path, earlier: Path) -> bool:
    same_start = (path.from_top, path.up) == (earlier.from_top, earlier.up)
    return same_start and path.steps[: len(earlier.steps)] == earlier.steps


def _check_condition(value: Any, depth: int) -> Iterator[str]:
    parts = value if isinstance(value, list) else [value]
    if not parts:
        yield "can never hold: it names no path"
    for part in parts:
        if isinstance(part, dict):
            yield from _check_tests(part, depth)
        elif fault := find_path_fault(part, depth):
            yield f"`{part}` {fault}"


def _check_tests(tests: Mapping[str, Any], depth: int) -> Iterator[str]:
    if not tests:
        yield "can never hold: it names no path"
    for path, values in tests.items():
        if fault := find_path_fault(path, depth):
            yield f"`{path}` {fault}"
        yield from (f"`{path}` {fault}" for fault in _check_values(values))


def _check_values(values: Any) -> Iterator[str]:
    listed = values if isinstance(values, list) else [values]
    if not listed:
        yield f"can never match: the list is empty, {_WANTS_TEXT}"
    for value in listed:
        if not isinstance(value, str | int | float | bool) or spell(value) is None:
            yield f"can never match a value of type {type(value).__name__}: {_WANTS_TEXT}"


def _check_types(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield "write a table: what the sender calls a type, and the type that it is"
        return
    for name in value.values():
        yield from _check_type_name(name, MESSAGE_TYPES)


def _check_platforms(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield "write a table: what the sender calls a network, and the platform that it is"
        return
    for name, ours in value.items():
        if not isinstance(ours, str) or not _PLATFORM.fullmatch(ours):
            yield f"`{name}`: a platform is a word of a-z, 0-9, _ and -, as in whatsapp"


def _check_type_conditions(value: Any, depth: int) -> Iterator[str]:
    if not isinstance(value, dict):
        yield "write a table: a type, and when a message is of it"
        return
    for name, condition in value.items():
        yield from _check_type_name(name, MESSAGE_TYPES)
        yield from (f"`{name}`: {fault}" for fault in _check_condition(condition, depth))


def _check_type_name(name: Any, known_names: tuple[str, ...]) -> Iterator[str]:
    if name not in known_names:
        yield f"there is no type {name}{did_you_mean(str(name), known_names) or '; there is ' + ', '.join(known_names)}"
