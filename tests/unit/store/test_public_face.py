"""What the packages `store` and `model` show, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import rfctl.model
import rfctl.store


@pytest.mark.parametrize("package", [rfctl.model, rfctl.store], ids=lambda package: str(package.__name__))
def test_every_name_that_a_package_shows_is_there(package: ModuleType) -> None:
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


@pytest.mark.parametrize("package", ["rfctl.model", "rfctl.store", "rfctl.store.embedded"])
def test_package_is_imported_without_redis_py(package: str) -> None:
    probe = (
        f"import sys, {package}; print([name for name in sys.modules if name.partition('.')[0] == 'redis'])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
