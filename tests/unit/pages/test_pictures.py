"""The pictures of the pages: whole, and without anything that a reader's browser would load from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

PICTURES = sorted((Path(__file__).parents[3] / "docs" / "pictures").glob("*.svg"))
LOADS = re.compile(r"@import|@font-face|url\(\s*['\"]?(?!#)|<image|<script", re.IGNORECASE)


def test_there_are_pictures() -> None:
    assert [picture.name for picture in PICTURES if picture.name == "top.svg"] == ["top.svg"]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_picture_is_whole_and_loads_nothing(picture: Path) -> None:
    text = picture.read_text()
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert LOADS.findall(text) == []
