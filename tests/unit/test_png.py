from __future__ import annotations

import struct
import zlib

import pytest

from tests.support.png import read_png, shrink_png


def make_png(rows: list[bytes], size: int = 3, colour_type: int = 2) -> bytes:
    """Return a PNG of rows that begin with their filter."""
    head = struct.pack(">IIBBBBB", (len(rows[0]) - 1) // size, len(rows), 8, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("kind", "row"),
    [(0, (9, 9, 9, 30, 30, 30)), (1, (9, 9, 9, 21, 21, 21)), (2, (4, 4, 4, 25, 25, 25)), (3, (7, 7, 7, 23, 23, 23)),
        (4, (4, 4, 4, 21, 21, 21))],
)  # fmt: skip
def test_each_filter_is_undone(kind: int, row: tuple[int, ...]) -> None:
    png = make_png([bytes((0, 5, 5, 5, 5, 5, 5)), bytes((kind, *row))])
    assert read_png(png).pixels[2:] == [(9, 9, 9), (30, 30, 30)]


def test_few_colours_stay_as_they_are() -> None:
    png = make_png([bytes((0, 1, 2, 3, 255, 200, 100, 7, 250))], size=4, colour_type=6)
    assert read_png(png).pixels == [(1, 2, 3), (200, 100, 7)]
    assert read_png(shrink_png(png)) == read_png(png)


def test_rare_colour_stays_near_to_itself_among_many() -> None:
    greys = [bytes((value, value, (value + n) % 256)) for value in range(256) for n in range(4)]
    png = make_png([b"\0" + b"".join(greys) + bytes((10, 200, 60))])
    small = read_png(shrink_png(png))
    assert len(set(small.pixels)) <= 256
    assert small.pixels[-1] == (10, 200, 60)


def test_other_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="type 0"):
        read_png(make_png([b"\0\1"], size=1, colour_type=0))
