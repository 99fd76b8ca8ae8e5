"""The settings: each value, the layer that set it, and all problems at once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfctl.config.loader import Configuration, load
    from rfctl.config.settings import Settings

__all__ = ["Configuration", "Settings", "load"]
_MODULES = {"Configuration": "loader", "Settings": "settings", "load": "loader"}


def __getattr__(name: str) -> Any:
    # Only when it is asked for: the models bring pydantic, and the environment is read without it.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
