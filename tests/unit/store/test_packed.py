"""Packed words: the same bytes as those of the packer of hiredis, whatever is packed before and whatever is not."""

from __future__ import annotations

from typing import cast

import hiredis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rfctl.store.packed import (
    Packed,
    Word,
    build_head,
    count_words,
    list_heads,
    pack_command,
    pack_words,
    unpack,
)

words = st.one_of(st.binary(max_size=80), st.text(max_size=80), st.integers(), st.floats())
parts = st.lists(st.one_of(words, st.lists(words, max_size=4)), max_size=6)


def as_bytes(word: Word) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


@given(parts)
@example([[], "EVALSHA", [b"", "ключ", -(2**63)], 1.5, [b"x" * 2000, b"\r\n$3\r\nabc"]])
def test_command_of_packed_and_plain_words_is_that_of_hiredis(parts: list[Word | list[Word]]) -> None:
    plain = [word for part in parts for word in (part if isinstance(part, list) else [part])]
    command = [pack_words(*part) if isinstance(part, list) else part for part in parts]
    assert pack_command(tuple(command)) == hiredis.pack_command(cast("tuple[bytes]", tuple(plain)))
    assert count_words(command) == len(plain)
    assert [as_bytes(word) for word in unpack(command)] == [as_bytes(word) for word in plain]


@pytest.mark.parametrize("prefix", ["", "rapid-fire:", "префикс:" * 200])
def test_head_from_the_table_is_that_of_the_whole_word(prefix: str) -> None:
    heads = list_heads(64, prefix)
    for size in range(65):
        rest = b"k" * size
        assert Packed(1, heads[size] + rest) == pack_words(prefix.encode() + rest)
    assert Packed(1, build_head(5000) + b"k" * 5000) == pack_words(b"k" * 5000)
