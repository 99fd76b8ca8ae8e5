r"""Makes text of strangers fit for a terminal or a log: no markup, no control characters, no secrets.

A message can carry ESC sequences that move the cursor, C1 controls, bidi marks that reorder a line, or characters
that nobody sees. They are written out (`\x1b`, `\u202e`), so that a reader sees what was sent.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from urllib.parse import unquote

_ACTIVE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Controls, bidi marks, line separators, tags and what has no width. Variation selectors of emoji stay."""
_PICTURE = "[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"
_EMOJI_JOINER = re.compile(f"(?<={_PICTURE})\u200d(?={_PICTURE})")
_JOINERS = "\u200c\u200d"
_SPELLED = re.compile(
    f"[\u0620-\u06ff][{_JOINERS}][\u0620-\u06ff]|[\u0900-\u0dff][{_JOINERS}][\u0900-\u0dff]"
)
_HEAD, _TAIL, _HIDDEN = 5, 2, 4
_DIALLED = re.compile("[+]?([0-9]{9,15})")
_CODES_OF_TWO = re.compile("2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")


def visible(text: str) -> str:
    """Return the text with every character written out that could act on a terminal, or that nobody sees.

    The joiners of an emoji of several parts are left out: terminals do not agree how wide the whole is.
    The joiners that Persian and the scripts of India are spelled with stay.
    """
    if "\u200d" in text:
        text = _EMOJI_JOINER.sub("", text)
    return _ACTIVE.sub(_write_out, text)


def _write_out(match: re.Match[str]) -> str:
    is_spelling = match[0] in _JOINERS and _SPELLED.fullmatch(
        match.string, match.start() - 1, match.end() + 1
    )
    return match[0] if match.start() and is_spelling else _escape(match[0])


def visible_in_json(text: str) -> str:
    """Return JSON with the same characters as JSON escapes them; the line feeds between its values stay."""
    return _ACTIVE.sub(lambda match: match[0] if match[0] == "\n" else _escape_in_json(match[0]), text)


def visible_in_toml(text: str) -> str:
    """Return TOML with the same characters as TOML escapes them; its line feeds stay."""
    return _ACTIVE.sub(lambda match: match[0] if match[0] == "\n" else _escape_in_toml(match[0]), text)


def _escape(char: str) -> str:
    escapes = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    if char in escapes:
        return escapes[char]
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else _escape_in_toml(char)


def _escape_in_toml(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _escape_in_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[place : place + 4]}" for place in range(0, len(units), 4))


def mask_phone(phone: str) -> str:
    """Return a phone with its middle hidden, for logs: `79001•••67`. At least four characters are hidden."""
    if len(phone) <= _HIDDEN + _TAIL + 1:
        return visible(phone[:1]) + "•••"
    head = min(_HEAD, len(phone) - _TAIL - _HIDDEN)
    return visible(f"{phone[:head]}•••{phone[-_TAIL:]}")


def show_phone(phone: str, *, is_whole: bool = False) -> str:
    """Return a phone as a screen has it: `+7 900 •••67`, or `+79001234567` where it is to be whole.

    Of a number one sees its country code, what follows up to the fourth digit (two digits at least) and the last two. At
    least four are hidden. Another id is masked as in a log. The page's script has the same rule: `phoneWords`.
    """
    number = _DIALLED.fullmatch(phone)
    if number is None:
        return visible(phone) if is_whole else mask_phone(phone)
    digits = number[1]
    if is_whole:
        return "+" + digits
    code = 1 if digits[0] in "17" else 2 if _CODES_OF_TWO.match(digits) else 3
    head = min(max(4, code + 2), len(digits) - _TAIL - _HIDDEN)
    seen = [f"+{digits[:code]}", digits[code:head], f"•••{digits[-_TAIL:]}"]
    return " ".join(part for part in seen if part)


# What has as many digits as a phone, and is none. The first part that matches at a place decides.
_LIKE_A_PHONE = re.compile(
    r"""
    (?P<other>
        \b1\d{12}-\d{1,20}(?![\d])                         # the id of a message: 1758000000000-0
      | (?<![\w.%])(?=\d*[a-f])(?:[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})(?!\w)  # a hash
      | (?<![\w%])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?!\w)                            # a UUID
      | (?<!\d)\d{4}-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)?(?!\d)      # a time
      | (?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])          # an IPv4 address
      | (?<!\d)\d{7,10}\ (?:ms|bytes)\b                    # an amount
    )
    | \+?\d(?:[\ ().\u00a0\u2010-\u2015-]{0,3}\d){6,}
    """,
    re.X,
)


def mask_phones(text: str) -> str:
    """Return a text with the middle of all that looks like a phone hidden: seven digits or more.

    Ids of messages, hashes, times, IPv4 addresses and amounts in ms or bytes stay readable.
    """
    return _LIKE_A_PHONE.sub(lambda match: match["other"] or _masked_digits(match[0]), text)


def _masked_digits(phone: str) -> str:
    return phone[: phone[0] == "+"] + mask_phone(re.sub(r"\D", "", phone))


def duration(ms: float) -> str:
    """Return ms for a person: `340 ms`, `4.2 s`, `3 min 5 s`, `2 h 3 min`."""
    if ms < 0:
        return "-" + duration(-ms)
    if ms < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def human_bytes(count: int) -> str:
    """Return a number of bytes for a person: 12 kB."""
    size, unit = float(count), "B"
    for next_unit in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, next_unit
    return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"


def counted(number: int, what: str) -> str:
    """Return a number with its noun: `1 batch`, `2 batches`, `3 entries`, `1,200 messages`."""
    if number == 1:
        return f"1 {what}"
    if what.endswith("ry"):
        return f"{number:,} {what[:-1]}ies"
    return f"{number:,} {what}{'es' if what.endswith('ch') else 's'}"


_NEXT_URL = re.compile(r"([;,])(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*?(?=[;:,.)'\"`\]]*(?:\s|$))")
_PLAIN_USER = re.compile(r"[A-Za-z0-9_.-]{0,64}:")
_PORT = re.compile(r"(:(\d{0,5}|port))?")
_COMMIT = re.compile(r"git\+[a-z]+://[^@?#:\s]*(:\d+/[^@?#:\s]*)?@[0-9a-f]{40}(#subdirectory=[\w./-]*)?")
"""The address of a commit, as pip reads it: no user stands before its `@`."""
_PLACEHOLDER = "user:password"
"""What our own hints have in a URL: it is no secret."""
_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|credential|signature|auth|(^|[._-])(sig|api_?key|key)$", re.I
)
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w:.~%-]{20,}")
_DOTS = "•••"
_MARKS = "@:/?#[] \n"
"""Where a parser may cut a password in pieces."""


def mask_url(url: str) -> str:
    """Return a URL, or several with `;` or `,` between them, with dots for each secret.

    It goes by the letters alone: a password may have any characters in it, and then no parser reads the URL right. All
    that stands before the last `@` is hidden, but for a plain user with a `:` behind it. So are a port that is no
    number, a fragment, and what looks like a token in a path or a query.
    """
    parts = _NEXT_URL.split(url)
    urls = parts[::2]
    if "@" in url and not all("@" in part for part in urls):
        return _masked(url)  # a part without an @ may be the end of a password with the separator in it
    return "".join(_masked(part) if place % 2 == 0 else part for place, part in enumerate(parts))


def mask_urls(text: str) -> str:
    """Return a text with each URL in it masked."""
    return _URL.sub(lambda match: mask_url(match[0]), text) if "://" in text else text


def hide_secrets(text: str, *urls: str) -> str:
    """Return what a library says, without the URLs that it was called with, nor any part of their user and password."""
    for url in urls:
        text = text.replace(url, mask_url(url))
        user = _after_scheme(url)[1].rpartition("@")[0]
        users = [user, unquote(user)]
        texts = [*users, *(both.partition(":")[2] for both in users)]
        parts = {part for whole in texts for mark in _MARKS for part in (whole, *whole.split(mark))}
        for part in sorted(parts, key=len, reverse=True):
            if len(part) > 2:
                text = text.replace(part, _DOTS)
    return mask_urls(text)


def _after_scheme(url: str) -> tuple[str, str]:
    scheme, mark, rest = url.partition("://")
    return (scheme + mark, rest) if mark and "@" not in scheme else ("", url)


def _masked(url: str) -> str:
    if _COMMIT.fullmatch(url):
        return url
    scheme, rest = _after_scheme(url)
    user, at, rest = rest.rpartition("@")
    plain = _PLAIN_USER.match(user)
    shown_user = f"{plain[0] if plain else ''}{_DOTS}{at}" if at else ""
    shown_user = user + at if user == _PLACEHOLDER else shown_user
    rest, hash_mark, fragment = rest.partition("#")
    front, mark, query = rest.partition("?")
    host, slash, path = front.partition("/")
    shown = [scheme, shown_user, _masked_port(host) if scheme else host, slash]
    shown.append("/".join(map(_masked_part, path.split("/"))) if scheme.startswith("http") else path)
    shown += [mark, "&".join(_masked_field(field) for field in query.split("&"))]
    return "".join([*shown, hash_mark, _DOTS if fragment else ""])


def _masked_port(host: str) -> str:
    """Return host and port; what should be a port and is no number may be the half of a password."""
    name, bracket, port = host.rpartition("]")
    if not bracket:
        name, _, port = host.partition(":")
        port = host[len(name) :]
    return name + bracket + (port if _PORT.fullmatch(port) else f":{_DOTS}")


def _masked_part(part: str) -> str:
    return _DOTS if _TOKEN.fullmatch(part) else part


def _masked_field(field: str) -> str:
    name, equals, value = field.partition("=")
    is_secret = _SECRET_NAME.search(unquote(name)) or (
        not name.startswith("ssl_") and _TOKEN.fullmatch(value)
    )
    return f"{name}={_DOTS}" if equals and value and is_secret else field


def did_you_mean(word: str, known_words: Iterable[str]) -> str:
    """Return a hint to be put behind a fact: the known word that is nearest, or ""."""
    matches = difflib.get_close_matches(word, list(known_words), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""
