"""Who set what: default < /etc < the user's file < systemd credentials < environment < flag.

Reads the layers, merges them, and keeps for every setting who won and whom it hides: six weeks of lost
messages began with a variable that silently won over a file. All that is wrong is said at once.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rfctl.config.options import NAMED, Option, options, shown, template_of, value_of
from rfctl.config.problems import SettingsProblems
from rfctl.config.settings import Settings
from rfctl.config.toml_source import TomlLocations, flat, from_text, sections
from rfctl.errors import FLAG
from rfctl.section import did_you_mean, faults_of
from rfctl.store import RedisAddress
from rfctl.text import mask_url

SYSTEM_FILE = Path("/etc/rfctl/config.toml")
_PREFIX = "RFCTL_"


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
class SettingOrigin:
    """One layer's word on one setting: who says it, and what."""

    set_by: str
    value: Any


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings, for each who set it (the winner last), and what should be mentioned."""

    settings: Settings
    origins: Mapping[str, list[SettingOrigin]]
    files: list[Path]
    notices: list[str]
    environment: Environment

    def set_by(self, name: str) -> str:
        """Return who set this one."""
        said = self.origins.get(name)
        return said[-1].set_by if said else "default"

    def overrides(self, option: Option) -> list[str]:
        """Return what the winner hides, the nearest first: `value (who)`."""
        said = self.origins.get(option.name, [])
        return [f"{shown(option, one.value)} ({one.set_by})" for one in reversed(said[:-1])]

    def address(self, url: str | None = None) -> RedisAddress:
        """Return where Redis is; `url` replaces the setting's own (an embedded store's socket)."""
        redis = self.settings.redis
        return RedisAddress(
            url=url or redis.url,
            set_by=self.set_by("redis.url"),
            connect_timeout_ms=redis.connect_timeout_ms,
            timeout_ms=redis.timeout_ms,
            overrides="; ".join(self.overrides(option("redis.url"))),
        )


def option(name: str) -> Option:
    """Return the table row of a setting, under its own name; raises KeyError."""
    return {one.name: one for one in options()}[template_of(name)].at(name)


class _Loader:
    """Collects what each layer says, and what is wrong with it."""

    def __init__(self) -> None:
        self.known = {one.name: one for one in options()}
        self.origins: dict[str, list[SettingOrigin]] = {}
        self.sections: dict[str, str] = {}
        """The sections that the operator has named → where each was opened first."""
        self.problems = SettingsProblems()

    def say(self, name: str, value: Any, set_by: str) -> None:
        template = template_of(name)
        if template not in self.known:
            self.problems.add(name, self._unknown(name), [set_by])
            return
        if template != name:
            self.sections.setdefault(name.rpartition(".")[0], set_by)
        self.origins.setdefault(name, []).append(SettingOrigin(set_by, value))

    def _unknown(self, name: str) -> str:
        section, _, rest = name.partition(".")
        if section in NAMED and "." not in rest:
            return f"{section} have names: write sections, [{section}.NAME]"
        owner = template_of(name) != name and rest.partition(".")[0]
        known = [one.replace("NAME", owner, 1) if owner else one for one in self.known]
        near = did_you_mean(name, known)
        if near or section in Settings.model_fields:
            return f"there is no such setting{near}"
        near = did_you_mean(f"[{section}]", [f"[{one}]" for one in Settings.model_fields])
        return f"there is no such setting, nor section{near}"

    def _text_of(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8")
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
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as problem:
            self.problems.add_file(path, f"is not TOML: {problem}")
        else:
            lines = TomlLocations(text)
            for name in sections(table):
                self.sections.setdefault(name, f"{path}:{lines.of(name)}")
            for name, value in flat(table):
                self.say(name, value, f"{path}:{lines.of(name)}")

    def read_credentials(self, folder: Path | None) -> None:
        if folder is None or not folder.is_dir():
            return
        for path in sorted(folder.iterdir()):
            if path.is_file() and (text := self._text_of(path)) is not None:
                self._say_text(path.name, text.strip(), f"credential {path.name}")

    def read_variables(self, variables: Mapping[str, str]) -> None:
        for variable in sorted(variables):
            if variable.startswith(_PREFIX):
                name = variable.removeprefix(_PREFIX).lower().replace("__", ".")
                self._say_text(self._spelled(name), variables[variable], f"variable {variable}")

    def _say_text(self, name: str, text: str, set_by: str) -> None:
        wanted = self.known.get(template_of(name))
        self.say(name, from_text(wanted.kind if wanted else "", text), set_by)

    def _spelled(self, name: str) -> str:
        """Return the name as the files spell its section: a variable has `_` where a section may have `-`."""
        section, _, setting = name.rpartition(".")
        alike = [one for one in self.sections if one.replace("-", "_") == section]
        return f"{alike[0]}.{setting}" if alike and section not in self.sections else name

    def merged(self) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name in self.sections:
            section, _, own = name.partition(".")
            table.setdefault(section, {}).setdefault(own, {})
        for name, said in self.origins.items():
            *outer, last = name.split(".")
            inner = table
            for section in outer:
                inner = inner.setdefault(section, {})
            inner[last] = said[-1].value
        return table

    def validate(self) -> Settings | None:
        try:
            return Settings.model_validate(self.merged())
        except ValidationError as problem:
            for error in problem.errors(include_url=False):
                for name, said in faults_of(error):
                    self.problems.add(name, said, self._places(name))
        return None

    def _places(self, name: str) -> list[str]:
        """Return who said this; of a section, who opened it, or who said anything in it."""
        if name in self.origins:
            return [self.origins[name][-1].set_by]
        if name in self.sections:
            return [self.sections[name]]
        inside = [said[-1].set_by for known, said in self.origins.items() if known.startswith(f"{name}.")]
        outside = name.rpartition(".")[0]
        if inside or not outside:
            return inside or ["default"]
        return self._places(outside)


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
    layers = _Loader()
    files = _files(environment, file)
    for path in files:
        layers.read_file(path)
    layers.read_credentials(environment.credentials_dir)
    layers.read_variables(environment.variables)
    for name, (flag, value) in (flags or {}).items():
        layers.say(name, value, f"{FLAG}{flag}")
    settings = layers.validate()
    if layers.problems.lines or settings is None:
        raise layers.problems.error()
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
