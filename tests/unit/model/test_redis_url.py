"""A URL of Redis: each part is understood, or refused in words that show no password."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import connection as redis_py

from rfctl.model.redis_url import RedisUrl, add_options, check_tls_files, parse_redis_url
from rfctl.text import mask_url
from tests.support.certificates import self_signed


def parse_url(url: str) -> dict[str, Any]:
    return dict(redis_py.parse_url(url))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("redis://h", "redis://h"),
        ("redis://h/?db=3", "redis://h/?db=3"),
        ("redis://u:p%2Fw@h:6379/0?client_name=bot", "redis://u:p%2Fw@h:6379/0?client_name=bot"),
        ("valkey://:pw@h:1/0", "redis://:pw@h:1/0"),
        ("valkeys://h:1/0", "rediss://h:1/0"),
        ("REDISS://h:1/0?ssl_cert_reqs=none", "rediss://h:1/0?ssl_cert_reqs=none"),
        ("unix:///run/redis.sock?db=4", "unix:///run/redis.sock?db=4"),
        ("unix://u:pw@/run/redis.sock", "unix://u:pw@/run/redis.sock"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
    ],
)
def test_url_is_read_as_redis_py_reads_it(url: str, read: str) -> None:
    parsed = parse_redis_url(url)
    assert parsed.url == read
    assert parsed.db == (parse_url(read).get("db") or 0)
    assert parsed.is_tls == read.startswith("rediss")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:6379", "redis://host:port/db"),
        ("http://h:6379", "redis://host:port/db"),
        ("redis-cluster://h:1", "Cluster is not supported yet"),
        ("redis+sentinel://h:1", "Sentinel is not supported yet"),
        ("redis+socket:///run/x", "unix:///path"),
        ("redis://h:6379/abc", "no number of a database"),
        ("redis://h:6379/0/1", "no number of a database"),
        ("redis://h:6379/-1", "no number of a database"),
        ("redis://h/0?db=1", "two databases, 0 and 1"),
        ("redis://h/?db=x", "db= is no number"),
        ("redis://h?family=0", "family is not understood"),
        ("redis://h?protocol=3", "protocol is not understood"),
        ("redis://h?DB=3", "not understood"),
        ("redis://h?db=1&db=1", "db= twice"),
        ("redis://h?client_name=", "client_name= has no value"),
        ("redis://h?ssl_ca_certs=/ca", "write rediss://"),
        ("rediss://h?ssl_cert_reqs=never", "required, optional, none"),
        ("rediss://h?ssl_check_hostname=maybe", "ssl_check_hostname= is"),
        ("redis://h:0", "from 1 to 65535"),
        ("redis://h:65536", "from 1 to 65535"),
        ("redis://h:TOPSECRET", "from 1 to 65535"),
        ("redis://:57#Wc903z@h", "%23"),
        ("redis://:57#Wc903z", "%23"),
        ("redis://:a/b@h", "%2F"),
        ("redis://:a?b@h", "%3F"),
        ("redis://:a@b@h", "%40"),
        ("redis://:a%zz@h", "%25"),
        ("redis://:a b@h", "%20"),
        ("redis:///0", "names no host"),
        ("redis://:pw@/0", "names no host"),
        ("redis://a:1,b:2/0", "names several servers"),
        ("redis://a,b/0", "names several servers"),
        ("redis://::1:6379/0", "in brackets"),
        ("redis://[::1/0", "in brackets"),
        ("unix://run/redis.sock", "unix:///"),
        ("unix:///", "unix:///"),
    ],
)
def test_part_that_is_not_understood_is_refused_with_what_to_write(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_redis_url(url)


SECRETS = st.text(min_size=1, max_size=20).map(lambda text: f"Qzz{text}Zqq")


@given(
    SECRETS,
    st.sampled_from(
        ["redis://u:{}@h:1/0", "redis://{}@h", "redis://h:{}", "redis://h/{}", "{}", "redis://{}"]
    ),
)
def test_refusal_shows_no_secret(secret: str, form: str) -> None:
    try:
        parse_redis_url(form.format(secret))
    except ValueError as problem:
        assert "Qzz" not in str(problem)
        assert "Zqq" not in str(problem)


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_percent_encoded_user_and_password_arrive_whole(password: str, user: str) -> None:
    try:
        coded_password, coded_user = quote(password, safe=""), quote(user, safe="")
    except UnicodeEncodeError:
        return
    parsed = parse_redis_url(f"redis://{coded_user}:{coded_password}@h:1/0")
    options = parse_url(parsed.url)
    assert options["password"] == password
    assert options.get("username", "") == user
    assert mask_url(parsed.url).endswith("•••@h:1/0")


def test_options_are_added_behind_those_that_are_there() -> None:
    assert add_options("rediss://h", {"ssl_ca_certs": "/a b"}) == "rediss://h?ssl_ca_certs=/a%20b"
    assert add_options("rediss://h/0?db=0", {"ssl_ca_certs": "/a"}) == "rediss://h/0?db=0&ssl_ca_certs=/a"
    assert add_options("redis://h", {}) == "redis://h"


def _with(**files: Path) -> RedisUrl:
    return parse_redis_url(add_options("rediss://h", {name: str(path) for name, path in files.items()}))


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path)
    key, junk, none = tmp_path / "key.pem", tmp_path / "junk.pem", tmp_path / "none.pem"
    junk.write_text("junk")
    check_tls_files(_with(ssl_ca_certs=certificate, ssl_certfile=certificate, ssl_keyfile=key))
    for files, words in (
        ({"ssl_ca_certs": none}, "none.pem cannot be read: No such file"),
        ({"ssl_ca_certs": junk}, "junk.pem holds no certificate"),
        ({"ssl_certfile": certificate, "ssl_keyfile": junk}, "belong together"),
        ({"ssl_certfile": certificate}, "belong together"),
        ({"ssl_certfile": junk, "ssl_keyfile": key}, "belong together"),
    ):
        with pytest.raises(ValueError, match=words):
            check_tls_files(_with(**files))
