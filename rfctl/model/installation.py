"""How this rfctl was installed, and so which command adds to it what is missing.

An installer writes down where a package came from, in the file `direct_url.json` (PEP 610): a folder, a file or an
address. Without that record the package came from an index. The command works in any folder, for the interpreter that
runs, and keeps the rfctl that is there.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes, urlsplit

from rfctl.text import mask_urls

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_SOURCES = Path(__file__).parents[2]
_IN_ADDRESSES = "%/:@?&=+,;~$!*()[]{}"
"""Characters that stay in an address, beside letters and digits: pip records a space as it came, and does not read it."""


def build_extra_command(extra: str) -> str:
    """Return the line for a shell that installs this extra of rfctl."""
    return shlex.join([*_find_installer(), *_name_extra(extra)])


def build_package_command(package: str) -> str:
    """Return the line for a shell that installs another package beside rfctl."""
    return shlex.join([*_find_installer(), package])


def _find_installer() -> list[str]:
    """Return the words before what is to be installed: `pip` alone only where a shell finds that of this environment."""
    python = sys.executable or "python3"
    if find_spec("pip") is None:  # uv makes environments without it
        return (
            ["uv", "pip", "install", "--python", python]
            if shutil.which("uv")
            else ["pip", "--python", python, "install"]
        )
    pip = shutil.which("pip")
    if pip and sys.prefix != sys.base_prefix and Path(pip).parent == Path(python).parent:
        return ["pip", "install"]
    return [python, "-m", "pip", "install"]


def _name_extra(extra: str) -> list[str]:
    from importlib import metadata  # noqa: PLC0415 - it takes 50 ms, and only a refusal needs it

    try:
        installed = metadata.distribution("rfctl")
    except metadata.PackageNotFoundError:  # it runs from its sources, or from another program's file
        return ["-e", f"{_SOURCES}[{extra}]"] if _is_there(_SOURCES) else [f"rfctl[{extra}]"]
    record = _read_record(installed)
    url = str(record.get("url") or "")
    if not url:
        return [f"rfctl[{extra}]"]
    if not url.startswith("file:") or "vcs_info" in record:
        address = _build_address(url, record)
        return [f"rfctl[{extra}] @ {address}"] if _is_usable(address) else _list_libraries(installed, extra)
    place = Path(os.fsdecode(unquote_to_bytes(urlsplit(url).path)))
    if "subdirectory" in record or not _is_there(place):
        return _list_libraries(installed, extra)
    is_editable = bool(record.get("dir_info", {}).get("editable"))
    return [*(["-e"] if is_editable else []), f"{place}[{extra}]"]


def _read_record(installed: Distribution) -> dict[str, Any]:
    try:
        record = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _build_address(url: str, record: dict[str, Any]) -> str:
    """Return the address as pip reads it. A commit is named, so that the command brings no other rfctl along."""
    url = quote(url, safe=_IN_ADDRESSES)
    vcs = record.get("vcs_info", {})
    if vcs:
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    part = record.get("subdirectory")
    return f"{url}#subdirectory={part}" if part else url


def _is_usable(address: str) -> bool:
    """Say whether pip takes this address behind a name, and a screen shows it: what is masked may be a secret."""
    return bool(urlsplit(address).netloc) and mask_urls(address) == address


def _is_there(place: Path) -> bool:
    """Say whether pip can install from this folder or file: it may have been deleted since, or be another user's."""
    try:
        return (place / "pyproject.toml").is_file() or place.is_file()
    except OSError:
        return False


def _list_libraries(installed: Distribution, extra: str) -> list[str]:
    """Return what the extra brings, for an rfctl whose own source is gone or cannot be named."""
    pairs = [requirement.partition(";") for requirement in installed.requires or ()]
    marks = (f'extra == "{extra}"', f"extra == '{extra}'")
    return [name.strip() for name, _, marker in pairs if marker.strip().endswith(marks)]
