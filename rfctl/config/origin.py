"""Who set a value, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SettingOrigin:
    """One layer's value of one setting, and who set it.

    Where the value is a table, `inside` says of its entries who set each, by dotted names; what is not there is as `set_by`.
    """

    set_by: str
    value: Any
    inside: Mapping[str, str] = field(default_factory=dict)

    def set_by_inside(self, entry: str) -> str:
        """Return who set an entry of this table, or of one inside it."""
        return self.inside.get(entry, self.set_by)


def list_entries(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of a table, and of the tables inside it, under dotted names."""
    for name, value in table.items():
        yield prefix + name, value
        if isinstance(value, dict):
            yield from list_entries(value, f"{prefix}{name}.")
