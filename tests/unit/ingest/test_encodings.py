"""Bodies with gzip, and those with anything else."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfctl.ingest.encodings import check_encoding, unpack_gzip
from rfctl.ingest.head import Head
from rfctl.ingest.rejections import RejectedError


def head(*values: bytes) -> Head:
    fields = [(b"host", b"x"), *((b"content-encoding", value) for value in values)]
    return Head("POST", "/", "/", "", "1.1", fields, "")


def test_gzip_is_known_and_so_is_none() -> None:
    assert check_encoding(head(b" GZIP "), "s")
    assert check_encoding(head(b"x-gzip"), "s")
    assert not check_encoding(head(), "s")
    assert not check_encoding(head(b"identity"), "s")


@pytest.mark.parametrize(
    "values", [(b"br",), (b"deflate",), (b"gzip, gzip",), (b"gzip", b"gzip"), (b"\xff" * 300,)]
)
def test_any_other_encoding_is_rejected_in_words(values: tuple[bytes, ...]) -> None:
    with pytest.raises(RejectedError, match="send it with gzip, or with none") as rejected:
        check_encoding(head(*values), "s")
    assert (rejected.value.status, rejected.value.reason, rejected.value.source) == (
        415,
        "content-encoding",
        "s",
    )


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=3))
def test_what_was_packed_comes_out_also_of_several_members(parts: list[bytes]) -> None:
    packed = b"".join(gzip.compress(part, mtime=0) for part in parts)
    assert unpack_gzip(packed, 150, "s") == b"".join(parts)


def test_gzip_of_many_members_is_rejected() -> None:
    assert unpack_gzip(gzip.compress(b"a", mtime=0) * 16, 100, "s") == b"a" * 16
    with pytest.raises(RejectedError, match="more than 16 members"):
        unpack_gzip(gzip.compress(b"") * 17, 100, "s")


@pytest.mark.parametrize("members", [1, 15])
def test_bomb_is_rejected_before_it_is_unpacked(members: int) -> None:
    bomb = gzip.compress(b"0" * (10_000_000 // members)) * members
    assert len(bomb) < 20_000
    with pytest.raises(RejectedError, match="larger than 1000000 bytes without its gzip") as rejected:
        unpack_gzip(bomb, 1_000_000, "s")
    assert (rejected.value.status, rejected.value.reason) == (413, "body-too-large")


def test_bound_is_the_size_of_the_largest_body() -> None:
    packed = gzip.compress(b"0" * 1000)
    assert len(unpack_gzip(packed, 1000, "s")) == 1000
    with pytest.raises(RejectedError):
        unpack_gzip(packed, 999, "s")


@pytest.mark.parametrize(
    "packed",
    [
        b"{}",
        gzip.compress(b"abc", mtime=0)[:-1],
        gzip.compress(b"a", mtime=0) + b"junk",
        zlib.compress(b"a"),
        b"\x1f\x8b",
    ],
)
def test_what_is_no_gzip_is_rejected(packed: bytes) -> None:
    with pytest.raises(RejectedError, match="the body is no gzip") as rejected:
        unpack_gzip(packed, 1000, "s")
    assert rejected.value.status == 400


@given(st.binary(max_size=100), st.binary(max_size=40))
def test_strange_bytes_are_rejected_and_never_a_crash(start: bytes, content: bytes) -> None:
    for packed in (start, gzip.compress(content) + start, gzip.compress(content)[: len(start)]):
        try:
            unpack_gzip(packed, 50, "s")
        except RejectedError:
            continue


def test_bomb_is_never_unpacked_whole() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    tracemalloc.start()
    with pytest.raises(RejectedError):
        unpack_gzip(bomb, 1_000_000, "s")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
