"""Loads the settings: default < /etc < the user's file < systemd credentials < environment < flag.

Reads the layers, merges them, and keeps for every setting who won and whom it overrides: six weeks of lost
messages began with a variable that silently won over a file. All that is wrong is reported at once.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rfctl.config.credentials import find_mistyped, is_shaped_like_a_setting, list_readable_files
from rfctl.config.environment import Environment
from rfctl.config.notices import list_notices
from rfctl.config.options import NAMED, Option, find_option, mask_value, option_table, template_of, value_of
from rfctl.config.origin import SettingOrigin, list_entries
from rfctl.config.presets import apply_presets
from rfctl.config.problems import SettingsProblems
from rfctl.config.settings import Settings
from rfctl.config.toml_source import TomlLocations, list_sections, list_values, parse_text
from rfctl.config.unions import model_for, types_of
from rfctl.errors import FLAG
from rfctl.observe.settings_drift import hash_file
from rfctl.section import list_faults
from rfctl.sources.registry import GENERIC
from rfctl.store.address import RedisAddress
from rfctl.text import did_you_mean

_PREFIX = "RFCTL_"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, the origins of each (the winner last), notices for the operator, and a hash of each file by its path."""

    settings: Settings
    origins: Mapping[str, list[SettingOrigin]]
    files: list[Path]
    notices: list[str]
    environment: Environment
    file_hashes: Mapping[str, str] = field(default_factory=dict)

    def set_by(self, name: str) -> str:
        """Return the layer that set this, such as `/etc/rfctl/config.toml:12`, or `default`."""
        origins = self.origins.get(name)
        return origins[-1].set_by if origins else "default"

    def overrides(self, option: Option) -> list[str]:
        """Return what the winner overrides, the nearest first: `value (layer)`."""
        losers = reversed(self.origins.get(option.name, [])[:-1])
        return [f"{mask_value(option, origin.value)} ({origin.set_by})" for origin in losers]

    def value_to_show(self, option: Option) -> Any:
        """Return a setting's value as it may be shown."""
        return mask_value(option, value_of(self.settings, option.name))

    def address(self, url: str | None = None) -> RedisAddress:
        """Return where Redis is; `url` replaces the setting's own (an embedded server's socket)."""
        redis = self.settings.redis
        return RedisAddress(
            url=url or redis.full_url(),
            set_by=self.set_by("redis.url"),
            connect_timeout_ms=redis.connect_timeout_ms,
            timeout_ms=redis.timeout_ms,
            overrides="; ".join(self.overrides(find_option("redis.url"))),
            shards_set_by=self.set_by("redis.shards"),
            tls_origins={
                option: (f"redis.{name}", self.set_by(f"redis.{name}"))
                for name, option in redis.list_tls_files()
            },
        )


class _Loader:
    """Collects what each layer sets, and what is wrong with it."""

    def __init__(self) -> None:
        self.table = option_table()
        self.origins: dict[str, list[SettingOrigin]] = {}
        self.sections: dict[str, str] = {}
        """The sections that the operator has named → where each was opened first."""
        self.problems = SettingsProblems()
        self.notices: list[str] = []
        self.file_hashes: dict[str, str] = {}

    def add(self, name: str, value: Any, set_by: str, inside: Mapping[str, str] | None = None) -> None:
        template = template_of(name)
        if template not in self.table:
            self.problems.add(name, self._unknown(name), [set_by])
            return
        if template != name:
            self.sections.setdefault(name.rpartition(".")[0], set_by)
        self.origins.setdefault(name, []).append(SettingOrigin(set_by, value, inside or {}))

    def _unknown(self, name: str) -> str:
        section, _, rest = name.partition(".")
        if section in NAMED and "." not in rest:
            return f"{section} have names: write sections, [{section}.NAME]"
        owner = template_of(name) != name and rest.partition(".")[0]
        # Without an owner, a name of a named section is no proposal: nobody can write NAME.
        names = [row.replace("NAME", owner or "NAME", 1) for row in self.table if owner or "NAME" not in row]
        near = did_you_mean(name, names)
        if near or section in Settings.model_fields:
            return f"there is no such setting{near}"
        near = did_you_mean(f"[{section}]", [f"[{place}]" for place in Settings.model_fields])
        return f"there is no such setting, nor section{near}"

    def _text_of(self, path: Path) -> str | None:
        try:
            return path.read_bytes().decode("utf-8")
        except OSError as problem:
            self.problems.add_unread(path, problem.strerror or str(problem))
        except UnicodeDecodeError as problem:
            line = problem.object.count(b"\n", 0, problem.start) + 1
            self.problems.add_file(path, f"is not UTF-8 (line {line})")
        return None

    def read_file(self, path: Path) -> None:
        text = self._text_of(path)
        if text is None:
            return
        self.file_hashes[str(path.absolute())] = hash_file(text.encode())
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            self.problems.add_file(path, f"is not TOML: {problem}")
        else:
            lines = TomlLocations(text)
            for name in list_sections(table):
                self.sections.setdefault(name, f"{path}:{lines.of(name)}")
            for name, value in list_values(table):
                entries = list_entries(value) if isinstance(value, dict) else ()
                inside = {entry: f"{path}:{lines.of(f'{name}.{entry}')}" for entry, _ in entries}
                self.add(name, value, f"{path}:{lines.of(name)}", inside)

    def read_credentials(self, environment: Environment, file: Path | None = None) -> None:
        """Read what systemd gives this service; without it, what this user may read of what systemd would give."""
        if environment.credentials_dir is not None:
            self._read_folder(environment.credentials_dir)
            return
        folder = environment.find_shared_credentials(file)
        for path in list_readable_files(folder):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                self._add_credential(path.name, path.read_text(encoding="utf-8"), f"credential {path}")

    def _read_folder(self, folder: Path) -> None:
        try:
            paths = sorted(folder.iterdir())
        except FileNotFoundError:
            return
        except OSError as problem:
            self.problems.add_unread(folder, problem.strerror or str(problem))
            return
        for path in paths:
            is_setting = is_shaped_like_a_setting(path.name)
            if is_setting and path.is_file() and (text := self._text_of(path)) is not None:
                self._add_credential(path.name, text, f"credential {path.name}")
            elif not is_setting and (near := find_mistyped(path.name, self.table)):
                self.notices.append(
                    f"credential {path.name} is no setting, and not read; did you mean {near}?"
                )

    def _add_credential(self, name: str, text: str, set_by: str) -> None:
        # An empty one sets nothing: the unit gives it where the operator has no file.
        if is_shaped_like_a_setting(name) and text.strip():
            self._add_text(name, text.strip(), set_by)

    def read_variables(self, variables: Mapping[str, str]) -> None:
        for variable in sorted(variables):
            if variable.startswith(_PREFIX):
                name = variable.removeprefix(_PREFIX).lower().replace("__", ".")
                self._add_text(self._as_in_files(name), variables[variable], f"variable {variable}")

    def _add_text(self, name: str, text: str, set_by: str) -> None:
        option = self.table.get(template_of(name))
        self.add(name, parse_text(option.kind if option else "", text), set_by)

    def _as_in_files(self, name: str) -> str:
        """Return the name as the files spell its section: a variable has `_` where a section may have `-`."""
        section, _, setting = name.rpartition(".")
        alike = [place for place in self.sections if place.replace("-", "_") == section]
        return f"{alike[0]}.{setting}" if alike and section not in self.sections else name

    def merge(self) -> dict[str, Any]:
        """Return the settings of all layers as nested tables."""
        table: dict[str, Any] = {}
        for name in self.sections:
            section, _, own = name.partition(".")
            table.setdefault(section, {}).setdefault(own, {})
        for name, origins in self.origins.items():
            *outer, last = name.split(".")
            inner = table
            for section in outer:
                inner = inner.setdefault(section, {})
            inner[last] = origins[-1].value
        return table

    def validate(self) -> Settings | None:
        broken = apply_presets(self.sections, self.origins, self.problems)
        table = self.merge()
        for section in broken:  # what the preset would have set is not missing
            table["sources"][section.partition(".")[2]] = {"type": GENERIC}
        self._drop_foreign(table)
        try:
            return Settings.model_validate(table)
        except ValidationError as problem:
            for error in problem.errors(include_url=False):
                for name, fact in list_faults(_without_tag(error)):
                    self.problems.add(name, fact, self._places(name))
        return None

    def _drop_foreign(self, table: dict[str, Any]) -> None:
        """Take out the settings that only other types read, so that all else is checked too."""
        for place in self.sections:
            section, _, name = place.partition(".")
            config = table[section][name]
            kind = config.get("type", GENERIC if place == f"sources.{GENERIC}" else None)
            fields = model_for(section, kind).model_fields
            for setting in [setting for setting in config if setting not in fields]:
                del config[setting]
                if kind in types_of(section):
                    only = ", ".join(find_option(f"{place}.{setting}").only)
                    problem = f"is not for type {kind}, but for {only}"
                    self.problems.add(f"{place}.{setting}", problem, self._places(f"{place}.{setting}"))

    def _places(self, name: str) -> list[str]:
        """Return who set this; of a section, who opened it, or who set anything in it."""
        if name in self.origins:
            return [self.origins[name][-1].set_by]
        if name in self.sections:
            return [self.sections[name]]
        inside = [
            origins[-1].set_by for place, origins in self.origins.items() if place.startswith(f"{name}.")
        ]
        outside = name.rpartition(".")[0]
        if inside or not outside:
            return inside or ["default"]
        return self._places(outside)


def _without_tag(error: ErrorDetails) -> ErrorDetails:
    """Return pydantic's error without the type that it names behind a section's name."""
    place = error["loc"]
    if len(place) > 2 and place[0] in ("sources", "sinks") and place[2] != "[key]":
        return {**error, "loc": (*place[:2], *place[3:])}
    return error


def _files(environment: Environment, chosen: Path | None) -> list[Path]:
    if chosen is not None:
        return [chosen]
    return [path for path in (environment.system_file, environment.user_file) if _exists(path)]


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # there, and not for us: reading it says so
    return True


def load(
    environment: Environment, *, file: Path | None = None, flags: Mapping[str, Any] | None = None
) -> Configuration:
    """Read every layer. `file` replaces the files; `flags` maps dotted names to values from the command line.

    Raises SettingsError with every problem at once.
    """
    loader = _Loader()
    files = _files(environment, file)
    for path in files:
        loader.read_file(path)
    loader.read_credentials(environment, file)
    loader.read_variables(environment.variables)
    for name, (flag, value) in (flags or {}).items():
        loader.add(name, value, f"{FLAG}{flag}")
    settings = loader.validate()
    if loader.problems.lines or settings is None:
        raise loader.problems.error()
    configuration = Configuration(
        settings, loader.origins, files, loader.notices, environment, loader.file_hashes
    )
    configuration.notices.extend(list_notices(configuration))
    return configuration
