"""Makes a PNG of a screen small: 256 colours are enough for text, lines and flat areas."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = 256
_FREQUENT = 160
T = TypeVar("T")
Colour = tuple[int, ...]


class Picture(NamedTuple):
    """The colours of a picture, (red, green, blue) of each pixel, row by row."""

    width: int
    pixels: list[Colour]


def shrink_png(png: bytes) -> bytes:
    """Return the same picture with at most 256 colours. Raises ValueError for what no browser takes as a screen's."""
    width, pixels = read_png(png)
    palette, places = _choose_colours(Counter(pixels))
    rows = b"".join(b"\0" + bytes(places[pixel] for pixel in row) for row in _batch(pixels, width))
    head = struct.pack(">IIBBBBB", width, len(pixels) // width, 8, 3, 0, 0, 0)
    flat = bytes(value for colour in palette for value in colour)
    chunks = ((b"IHDR", head), (b"PLTE", flat), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_render_chunk(kind, body) for kind, body in chunks)


def _choose_colours(counts: Counter[Colour]) -> tuple[list[Colour], dict[Colour, int]]:
    """Return a palette, and the place in it of each colour.

    The frequent ones come first. Then comes, again and again, what is farthest from all of them: a small sign stays green.
    """
    palette = [colour for colour, _ in counts.most_common(_FREQUENT)]
    nearest = {
        colour: min((_measure_distance(colour, other), place) for place, other in enumerate(palette))
        for colour in counts
    }
    while len(palette) < min(_COLOURS, len(counts)):
        palette.append(max(nearest, key=lambda colour: nearest[colour][0]))
        for colour, before in nearest.items():
            nearest[colour] = min(before, (_measure_distance(colour, palette[-1]), len(palette) - 1))
    return palette, {colour: place for colour, (_, place) in nearest.items()}


def read_png(png: bytes) -> Picture:
    """Return the pixels of a PNG of 8 bits a channel, without alpha or all of it opaque."""
    chunks = dict[bytes, bytes]()
    for kind, body in _list_chunks(png):
        chunks[kind] = chunks.get(kind, b"") + body
    width, _, depth, colour_type, *_, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if depth != 8 or colour_type not in {2, 3, 6} or interlaced:
        raise ValueError(f"a PNG of type {colour_type} with {depth} bits is not read here")
    size = {2: 3, 3: 1, 6: 4}[colour_type]
    rows = _unfilter(zlib.decompress(chunks[b"IDAT"]), width * size, size)
    values = (value for row in rows for value in _batch(row, size))
    if colour_type == 3:
        palette = list(_batch(chunks[b"PLTE"], 3))
        return Picture(width, [palette[value[0]] for value in values])
    return Picture(width, [value[:3] for value in values])


def _batch(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    return zip(*[iter(values)] * size, strict=True)


def _list_chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place < len(png):
        length, kind = struct.unpack_from(">I4s", png, place)
        yield kind, png[place + 8 : place + 8 + length]
        place += length + 12


def _unfilter(raw: bytes, length: int, size: int) -> Iterator[bytearray]:
    above = bytearray(length)
    for start in range(0, len(raw), length + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + length])
        for place in range(length) if kind else ():
            left = row[place - size] if place >= size else 0
            corner = above[place - size] if place >= size else 0
            row[place] = (row[place] + _predict(kind, left, above[place], corner)) & 0xFF
        yield row
        above = row


def _predict(kind: int, left: int, above: int, corner: int) -> int:
    if kind < 4:
        return (0, left, above, (left + above) // 2)[kind]
    guess = left + above - corner
    return min((left, above, corner), key=lambda value: abs(guess - value))


def _measure_distance(colour: Colour, other: Colour) -> int:
    return sum((value - wanted) ** 2 for value, wanted in zip(colour, other, strict=True))


def _render_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
