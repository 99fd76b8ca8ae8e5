"""The key of a batch, which stands for it in the names of Redis keys and in the index. Pure.

A phone is whatever a stranger sent. It must not name a key of ours, break out of a cluster's hash tag or act as a
pattern. A plain phone stands in its keys as it is, any other as a hash: `#` and 32 hex digits. A batch of a group,
an account or a company has `&` and 32 hex digits. Neither sign is plain, so the three forms never collide. The
message itself has the phone.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from zlib import crc32

LONGEST_KEY = 64
"""Bytes of the longest batch key."""
Digest = hashlib.blake2b
_PLAIN = re.compile(rf"[A-Za-z0-9._+@-]{{1,{LONGEST_KEY}}}")
_HASHED = re.compile(r"[#&][0-9a-f]{32}")


def is_plain(phone: str) -> bool:
    """Say whether a phone stands in its keys as it is."""
    # The first half says the same of letters and digits alone, for less: most phones are such.
    return (phone.isalnum() and phone.isascii() and len(phone) <= LONGEST_KEY) or _PLAIN.fullmatch(
        phone
    ) is not None


def batch_key_of(phone: str, *, chat: str = "", account: str = "", company: str = "") -> str:
    """Return the key of a batch: it stands for the batch in Redis keys and in the index.

    `chat` is the group or thread, "" in a one-to-one chat. `account` and `company` are "" unless the settings keep
    batches apart by them.
    """
    if chat or account or company:
        return "&" + digest_text(json.dumps([phone, chat, account, company]))
    return phone if is_plain(phone) else "#" + digest_text(phone)


def digest_text(text: str) -> str:
    """Return the 32 hex digits by which a text of a stranger stands in a key."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def is_batch_key(text: str) -> bool:
    """Say whether a text has one of the forms of a batch key."""
    return is_plain(text) or _HASHED.fullmatch(text) is not None


def is_hashed(batch_key: str) -> bool:
    """Say whether a batch key is a hash; then only the messages have the phone."""
    return batch_key.startswith(("#", "&"))


def dedupe_key(batch_key: str, *scope: str) -> bytes:
    """Return the 16 bytes by which an id is remembered. `scope` is whose id it is, and last the id itself.

    In a wider scope, a tenant that counts its ids ("1", "2", …) would suppress the messages of another.
    """
    return begin_digest("\0".join((batch_key, *scope))).digest()


def begin_digest(text: str) -> Digest:
    """Return the digest of such a text, to which more may be added."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)


def end_digest(digest: Digest, kind: str) -> bytes:
    """Return the 16 bytes that stand for an id and its scope.

    `kind` is the first name in the scope, such as a provider's: a message asks only for ids of its own kind. It is in
    the last of the 12 bytes that are used.
    """
    text = digest.digest()
    return text[:11] + _number_kind(kind) + text[12:]


@lru_cache(maxsize=256)
def _number_kind(kind: str) -> bytes:
    """Return the number of a kind, 0 to 28, as a byte. Each provider has one of its own. What is stored goes by it."""
    return bytes([crc32(kind.encode("utf-8", "surrogatepass")) % 29])
