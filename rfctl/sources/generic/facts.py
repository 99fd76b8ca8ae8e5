"""The facts of one message, from the paths of a map: who, what, when, and which files. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import msgspec

from rfctl.model.company import Company
from rfctl.model.message import Media
from rfctl.sources.contract import UnparsedError
from rfctl.sources.forms import Answers, read_form
from rfctl.sources.generic.conditions import Condition, Stack, compile_places, spell
from rfctl.sources.generic.elements import count_objects
from rfctl.sources.generic.json_path import ABSENT, Place, find_first, find_value, is_index
from rfctl.sources.generic.map_check import FACTS, FILES, OTHERS
from rfctl.sources.inline_files import is_note
from rfctl.sources.parsing import parse_unix_ms
from rfctl.sources.whatsapp_web import find_type, find_type_by_mime

Facts = dict[str, Any]


class FactReader:
    """Reads the facts of elements below `depth` lists. A map is compiled once."""

    def __init__(self, mapping: Mapping[str, Any], depth: int) -> None:
        self._depth = depth
        self._plain: list[tuple[str, int, tuple[str, ...]]] = []
        self._listed: list[tuple[str, list[Place]]] = []
        self._by_type: list[tuple[str, dict[str, list[Place]]]] = []
        self._files: list[tuple[str, list[Place]]] = []
        self._types: Mapping[str, str] = mapping.get("types", {})
        self._type_if = [
            (name, Condition.compile(condition, depth))
            for name, condition in mapping.get("type_if", {}).items()
        ]
        self._chat_if = Condition.compile(mapping["chat_if"], depth) if "chat_if" in mapping else None
        for key in FACTS:
            if key in mapping and key != "event":
                self._compile(key, mapping[key])
        self._indexed = self._find_indexed()
        self.has_indexed = bool(self._indexed)
        """Whether the map reads some places of a list alone. Without, nothing is there to count."""
        self._names_types = bool(self._types or self._type_if)

    def _compile(self, key: str, written: Any) -> None:
        if isinstance(written, dict):
            tables = {name: compile_places(paths, self._depth) for name, paths in written.items()}
            self._by_type.append((key, tables))
            return
        places = compile_places(written, self._depth)
        if key in FILES:
            self._files.append((key, places))
        elif len(places) == 1:
            self._plain.append((key, *places[0]))
        else:
            self._listed.append((key, places))

    @property
    def places(self) -> list[Place]:
        """Where the facts are."""
        found_by_type = [places for _, tables in self._by_type for places in tables.values()]
        listed = [places for _, places in (*self._listed, *self._files)]
        conditions = [condition.places for _, condition in self._type_if]
        conditions += [self._chat_if.places] if self._chat_if else []
        plain = [(base, steps) for _, base, steps in self._plain]
        return plain + [place for places in (*found_by_type, *listed, *conditions) for place in places]

    def read(self, stack: Stack) -> Facts:
        """Return the facts by their names, None for one that is not there; of a file, a list for each."""
        facts: Facts = {key: find_value(stack[base], steps) for key, base, steps in self._plain}
        for key, places in self._listed:
            facts[key] = find_first(stack, places)
        if self._names_types:
            facts["type"] = self._find_type(stack, facts.get("type"))
        else:
            facts.setdefault("type", None)
        for key, places in self._files:
            facts[key] = _find_files(stack, places)
        for key, tables in self._by_type:
            places = tables.get(_find_own_type(facts["type"])) or tables.get(OTHERS, [])
            facts[key] = _find_files(stack, places) if key in FILES else find_first(stack, places)
        if self._chat_if is not None and not self._chat_if.holds(stack):
            facts["chat"] = None
        return facts

    def _find_type(self, stack: Stack, value: Any) -> Any:
        """Return our type where the map names one for this element, else what stands at `type`."""
        for name, condition in self._type_if:
            if condition.holds(stack):
                return name
        return self._types.get(spell(value) or "", value) if self._types else value

    def _find_indexed(self) -> list[_Indexed]:
        """Return the lists in an element of which the map reads some places alone; not those inside of a file."""
        own = [steps for base, steps in self.places if base == self._depth]
        lists: dict[tuple[str, ...], _Indexed] = {}
        for steps in own:
            for end, step in enumerate(steps):
                if "*" not in steps[:end] and (is_index(step) or step == "*"):
                    listed = lists.setdefault(steps[:end], _Indexed(steps[:end], set(), []))
                    listed.add(step, steps[end + 1 :])
        return [listed for listed in lists.values() if listed.places]

    def count_unread(self, element: Any) -> int:
        """Return how many objects stand in a list of the element behind those that the map reads."""
        unread = 0
        for listed in self._indexed:
            value = find_value(element, listed.steps)
            if isinstance(value, list):
                unread += listed.count_unread(value)
        return unread


@dataclass(frozen=True, slots=True)
class _Indexed:
    """The list at `steps`, of which the map reads these `places`, and these paths `everywhere`."""

    steps: tuple[str, ...]
    places: set[str]
    everywhere: list[tuple[str, ...]]

    def add(self, step: str, rest: tuple[str, ...]) -> None:
        """Take a path that goes on with this step in the list, and with the `rest` in its element."""
        if step == "*":
            self.everywhere.append(rest)
        else:
            self.places.add(step)

    def count_unread(self, items: Sequence[Any]) -> int:
        """Return how many objects of such a list no path leads into."""
        left = [item for place, item in enumerate(items) if str(place) not in self.places]
        return count_objects([item for item in left if not self._is_read(item)])

    def _is_read(self, item: Any) -> bool:
        return any(find_value(item, steps) not in (None, "") for steps in self.everywhere)


def _find_own_type(value: Any) -> str:
    spelling = spell(value)
    return find_type(spelling) if spelling else ""


def _find_files(stack: Stack, places: Sequence[Place]) -> list[Any]:
    """Return the values at the first of these places. In a list each file has the first of those that lead into it."""
    for base, steps in places:
        if "*" in steps:
            star = steps.index("*")
            values = _find_in_list(stack, (base, steps[: star + 1]), places)
        else:
            values = [find_value(stack[base], steps)]
        if any(value not in ABSENT for value in values):
            return values
    return []


def _find_in_list(stack: Stack, head: Place, places: Sequence[Place]) -> list[Any]:
    """Return a value of each element of a list. `head` is the place of the list with the `*` behind it."""
    base, steps = head
    items = find_value(stack[base], steps[:-1])
    if not isinstance(items, list):
        return []
    size = len(steps)
    ends = [(0, other[size:]) for start, other in places if start == base and other[:size] == steps]
    return [find_first([item], ends) for item in items]


def read_name(facts: Facts, key: str) -> str:
    """Return a fact that names a person or a thing: a string or a whole number, which nobody can have rounded."""
    value = facts.get(key)
    if type(value) is str:
        return value
    if isinstance(value, float):
        raise UnparsedError(f"the {key} is {value!r}, not a string or a whole number")
    return read_word(key, value)


def read_company(facts: Facts) -> Company:
    """Return the company as the body has it: a whole number stays one, and a text stays text."""
    text = read_name(facts, "company")
    return facts["company"] if text and isinstance(facts["company"], int) else text or None


def read_word(key: str, value: Any) -> str:
    """Return a string or a number as text, "" for nothing. Raises UnparsedError for anything else."""
    if value is None or type(value) is str:
        return value or ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UnparsedError(f"the {key} is of type {type(value).__name__}, not a string or a number")
    return str(value)


def read_time(value: Any) -> int | None:
    """Return Unix ms of a number (s or ms), a number in a string, or an ISO 8601 time; None when it is no time."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    number = parse_unix_ms(value)
    if number is not None or not isinstance(value, str):
        return number
    try:
        moment = datetime.fromisoformat(value.removesuffix(" UTC"))
        return parse_unix_ms((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def read_media(facts: Facts) -> tuple[Media, ...]:
    """Return the files of a message: all that have an address or an id."""
    urls, ids = facts.get("media_url", ()), facts.get("media_id", ())
    if not (urls or ids):
        return ()
    rest = (facts.get(key, ()) for key in ("media_mime", "caption", "media_name"))
    files = (_read_file(*values) for values in zip_longest(urls, ids, *rest))
    return tuple(file for file in files if file.url or file.id)


def _read_file(url: Any, media_id: Any, mime: Any, caption: Any, name: Any) -> Media:
    address = read_word("media_url", url)
    return Media(
        url="" if is_note(address) else address,
        id=read_word("media_id", media_id),
        mime=read_word("media_mime", mime),
        caption=read_word("caption", caption),
        name=read_word("media_name", name),
    )


def read_answers(facts: Facts) -> Answers | None:
    """Return what was filled into a form: an object, or one in a string. None where there is none."""
    value = facts["form"]
    if isinstance(value, dict):
        value = msgspec.json.encode(value).decode()
    return (read_form(value) or None) if isinstance(value, str) else None


def read_caption(facts: Facts) -> str:
    """Return the first caption of a message."""
    captions = (read_word("caption", value) for value in facts.get("caption", ()))
    return next((caption for caption in captions if caption), "")


def choose_type(name: str, media: tuple[Media, ...]) -> str:
    """Return our type for a sender's word for it, or else what the first file is."""
    if name:
        return find_type(name)
    return find_type_by_mime(media[0].mime) if media else "text"
