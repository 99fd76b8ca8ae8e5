"""Who set what: default < /etc < the user's file < systemd credentials < environment < flag.

Reads the layers, merges them, and keeps for every setting who won and whom it hides: six weeks of lost
messages began with a variable that silently won over a file. All that is wrong is said at once.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rfctl.connection import Address, mask_url
from rfctl.errors import SettingsError
from rfctl.options import NAMED, Option, options, shown, template_of, value_of
from rfctl.settings import Settings

SYSTEM_FILE = Path("/etc/rfctl/config.toml")
_PREFIX = "RFCTL_"
_SECTION_LINE = re.compile(r"\s*\[\s*([\w.\s\"']+?)\s*\]\s*(#.*)?$")
_KEY_LINE = re.compile(r"\s*([\w.\"'-]+)\s*=")
NOT_SETTINGS = re.compile(r"RFCTL_TEST_\w+")


@dataclass(frozen=True, slots=True)
class Environment:
    """What the process was started with: a test makes its own."""

    variables: Mapping[str, str] = field(default_factory=dict)
    system_file: Path = SYSTEM_FILE

    @classmethod
    def actual(cls) -> Environment:
        """Return this process's own."""
        return cls(dict(os.environ))

    @property
    def user_file(self) -> Path:
        """The user's own settings file."""
        base = self.variables.get("XDG_CONFIG_HOME") or str(self._home / ".config")
        return Path(base) / "rfctl" / "config.toml"

    @property
    def state_dir(self) -> Path:
        """Where the embedded store lives when nothing else is set."""
        given = self.variables.get("STATE_DIRECTORY", "").split(":")[0]
        if given:
            return Path(given)
        base = self.variables.get("XDG_STATE_HOME") or str(self._home / ".local" / "state")
        return Path(base) / "rfctl"

    @property
    def credentials_dir(self) -> Path | None:
        """Where systemd put the credentials of this service, if it did."""
        given = self.variables.get("CREDENTIALS_DIRECTORY")
        return Path(given) if given else None

    @property
    def _home(self) -> Path:
        return Path(self.variables.get("HOME") or Path.home())


@dataclass(frozen=True, slots=True)
class Origin:
    """One layer's word on one setting: who says it, and what."""

    set_by: str
    value: Any


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, for each who set it (the winner last), and what should be mentioned."""

    settings: Settings
    origins: Mapping[str, list[Origin]]
    files: list[Path]
    notices: list[str]
    environment: Environment

    def set_by(self, name: str) -> str:
        """Return who set this one."""
        said = self.origins.get(name)
        return said[-1].set_by if said else "default"

    def hides(self, option: Option) -> list[str]:
        """Return what the winner hides, the nearest first: `value (who)`."""
        said = self.origins.get(option.name, [])
        return [f"{shown(option, one.value)} ({one.set_by})" for one in reversed(said[:-1])]

    def address(self, url: str | None = None) -> Address:
        """Return where Redis is; `url` replaces the setting's own (an embedded store's socket)."""
        redis = self.settings.redis
        return Address(
            url=url or redis.url,
            set_by=self.set_by("redis.url"),
            connect_timeout_ms=redis.connect_timeout_ms,
            timeout_ms=redis.timeout_ms,
            hides="; ".join(self.hides(option("redis.url"))),
        )


def option(name: str) -> Option:
    """Return the table row of a setting, under its own name; raises KeyError."""
    return {one.name: one for one in options()}[template_of(name)].at(name)


class _Layers:
    """Collects what each layer says, and what is wrong with it."""

    def __init__(self) -> None:
        self.known = {one.name: one for one in options()}
        self.origins: dict[str, list[Origin]] = {}
        self.problems: list[str] = []

    def say(self, name: str, value: Any, set_by: str) -> None:
        if template_of(name) not in self.known:
            self.problems.append(f"{name}: there is no such setting{self._near(name)} ({set_by})")
            return
        self.origins.setdefault(name, []).append(Origin(set_by, value))

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.known, n=1)
        return f"; did you mean {near[0]}?" if near else ""

    def read_file(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8")
            table = tomllib.loads(text)
        except OSError as problem:
            self.problems.append(f"{path}: cannot be read: {problem.strerror}")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            self.problems.append(f"{path}: is not TOML: {problem}")
        else:
            lines = _line_numbers(text)
            for name, value in _flat(table):
                self.say(name, value, f"{path}:{lines.get(name, '?')}")

    def read_credentials(self, folder: Path | None) -> None:
        if folder is None or not folder.is_dir():
            return
        for path in sorted(folder.iterdir()):
            if path.is_file():
                self.say(path.name, path.read_text(encoding="utf-8").strip(), f"credential {path.name}")

    def read_variables(self, variables: Mapping[str, str]) -> None:
        for variable in sorted(variables):
            if variable.startswith(_PREFIX) and not NOT_SETTINGS.fullmatch(variable):
                name = variable.removeprefix(_PREFIX).lower().replace("__", ".")
                self.say(
                    name,
                    _from_text(self.known.get(template_of(name)), variables[variable]),
                    f"variable {variable}",
                )

    def merged(self) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name, said in self.origins.items():
            *sections, last = name.split(".")
            inner = table
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[last] = said[-1].value
        return table

    def validate(self) -> Settings | None:
        try:
            return Settings.model_validate(self.merged())
        except ValidationError as problem:
            for one in problem.errors(include_url=False):
                self.problems.append(self._explain(one["loc"], one["msg"]))
        return None

    def _explain(self, place: tuple[int | str, ...], message: str) -> str:
        name = ".".join(str(part) for part in place if not isinstance(part, int))
        message = message.removeprefix("Value error, ")
        said = [
            one for known, all_of in self.origins.items() if known.startswith(name) for one in all_of[-1:]
        ]
        return f"{name}: {message[:1].lower()}{message[1:]} ({', '.join(one.set_by for one in said) or 'default'})"


def _flat(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return dotted names and their values: sections are opened, tables that are one setting's value are not."""
    found: list[tuple[str, Any]] = []
    for section, inner in table.items():
        if section in NAMED and isinstance(inner, dict):
            for name, settings in inner.items():
                found += _of_section(f"{section}.{name}", settings)
        else:
            found += _of_section(section, inner)
    return found


def _of_section(section: str, inner: Any) -> list[tuple[str, Any]]:
    if not isinstance(inner, dict):
        return [(section, inner)]
    return [(f"{section}.{key}", value) for key, value in inner.items()]


def _line_numbers(text: str) -> dict[str, int]:
    """Map dotted names to the lines of a TOML text that set them."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _SECTION_LINE.match(line):
            section = re.sub(r"[\s\"']", "", header[1]) + "."
        elif key := _KEY_LINE.match(line):
            lines.setdefault(section + re.sub(r"[\"']", "", key[1]), number)
    return lines


def _from_text(wanted: Option | None, text: str) -> Any:
    """Read a variable, which is text; a list or a table may be written as JSON."""
    kind = wanted.kind if wanted else ""
    if (kind.startswith("list") and text.lstrip().startswith("[")) or kind == "table":
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text


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
    layers = _Layers()
    files = _files(environment, file)
    for path in files:
        layers.read_file(path)
    layers.read_credentials(environment.credentials_dir)
    layers.read_variables(environment.variables)
    for name, (flag, value) in (flags or {}).items():
        layers.say(name, value, f"flag {flag}")
    settings = layers.validate()
    if layers.problems or settings is None:
        raise SettingsError(layers.problems, next="see `man rfctl.toml` or `rfctl config explain KEY`")
    configuration = Configuration(settings, layers.origins, files, [], environment)
    configuration.notices.extend(_notices(configuration))
    return configuration


def _notices(configuration: Configuration) -> list[str]:
    notices = []
    foreign = configuration.environment.variables.get("REDIS_URL")
    if foreign:
        used = mask_url(configuration.settings.redis.url)
        notices.append(
            f"REDIS_URL is set to {mask_url(foreign)} and not used: "
            f"redis.url is {used}, set by {configuration.set_by('redis.url')}"
        )
    notices += [
        f"{path} holds secrets and every user can read it: chmod o-r {path}"
        for path in configuration.files
        if path.stat().st_mode & stat.S_IROTH and _holds_secret(configuration, path)
    ]
    return notices


def _holds_secret(configuration: Configuration, path: Path) -> bool:
    return any(
        said.set_by.startswith(f"{path}:") and shown(option(name), said.value) != said.value
        for name, all_of in configuration.origins.items()
        for said in all_of
    )


def shown_value(configuration: Configuration, one: Option) -> Any:
    """Return a setting's value as it may be shown."""
    return shown(one, value_of(configuration.settings, one.name))
