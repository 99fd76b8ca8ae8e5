"""The environment of a process: its variables, and the paths of its settings and state."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM_FILE = Path("/etc/rfctl/config.toml")
SYSTEM_RUNTIME_DIR = Path("/run/rfctl")


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables and paths of one process; a test makes its own."""

    variables: Mapping[str, str] = field(default_factory=dict)
    system_file: Path = SYSTEM_FILE
    system_runtime_dir: Path = SYSTEM_RUNTIME_DIR

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
        """Where the embedded server lives when nothing else is set."""
        folder = self.variables.get("STATE_DIRECTORY", "").split(":")[0]
        if folder:
            return Path(folder)
        base = self.variables.get("XDG_STATE_HOME") or str(self._home / ".local" / "state")
        return Path(base) / "rfctl"

    @property
    def credentials_dir(self) -> Path | None:
        """Where systemd put the credentials of this service, if it did."""
        folder = self.variables.get("CREDENTIALS_DIRECTORY")
        return Path(folder) if folder else None

    def find_shared_credentials(self, file: Path | None = None) -> Path:
        """Return where systemd takes the credentials of the service from. A shell reads of it what its user may.

        Those of rfctl@shop.service, whose settings are in the `file` /etc/rfctl/shop.toml, are in credentials/shop.
        """
        folder, usual = self.system_file.parent / "credentials", self.system_file
        path = usual if file is None else file.absolute()
        return folder / path.stem if path.parent == usual.parent and path != usual else folder

    @property
    def runtime_dir(self) -> Path | None:
        """Where this process says that it runs: what systemd gives, else the user's own, else the system's, if it may write.

        None without any.
        """
        given_by_systemd = self.variables.get("RUNTIME_DIRECTORY", "").split(":")[0]
        if given_by_systemd:
            return Path(given_by_systemd)
        base = self.variables.get("XDG_RUNTIME_DIR")
        if base:
            return Path(base) / "rfctl"
        return self.system_runtime_dir if os.access(self.system_runtime_dir, os.W_OK) else None

    @property
    def runtime_dirs(self) -> list[Path]:
        """Where daemons of this host say that they run."""
        system = self.system_runtime_dir
        of_instances = sorted(system.parent.glob(f"{system.name}-*/"))  # those of rfctl@NAME.service
        return list(dict.fromkeys(filter(None, (system, *of_instances, self.runtime_dir))))

    @property
    def _home(self) -> Path:
        """The user's home. A user of a container often has none, and no name either: then it is /, as Docker has it."""
        try:
            return Path(self.variables.get("HOME") or Path.home())
        except RuntimeError:
            return Path("/")
