"""The daemon's event loop: uvloop's where it is installed."""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys

import pytest

from rfctl.daemon.event_loop import find_loop_factory, name_event_loop


def test_loop_is_that_of_uvloop_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name needs no file: an upgrade may have taken the library away beneath a daemon that runs."""
    monkeypatch.delattr(importlib.metadata, "version")
    uvloop = pytest.importorskip("uvloop", reason="this platform has no uvloop")
    factory = find_loop_factory()
    assert factory is not None
    loop = factory()
    try:
        assert name_event_loop(loop) == f"uvloop {uvloop.__version__}"
    finally:
        loop.close()


def test_loop_is_that_of_asyncio_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert find_loop_factory() is None
    loop = asyncio.new_event_loop()
    try:
        assert name_event_loop(loop) == "asyncio"
    finally:
        loop.close()
