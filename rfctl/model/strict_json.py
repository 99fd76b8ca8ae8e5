"""What JSON may not have if every reader is to take it: numbers that become infinite, and endless nesting. Pure.

Both are allowed by the grammar, and pass every decoder that leaves a part raw. Behind us a strict reader refuses the
whole body, and another one reads Infinity. So a body that has one is refused before anything of it is stored.
"""

from __future__ import annotations

import math
import re

MAX_DEPTH = 50
"""How many objects and lists may lie in each other. Some readers take 64, and we put a body into up to six more."""

_SHAPES = bytes.maketrans(b"123456789E,[- \t\r\n", b"000000000e:::::::")
"""Each digit is 0, and what may stand before a digit of a number is a colon."""
_SUSPECT = re.compile(rb":0(?:[0.]*+e\+?00|0{299})")
"""What every number of 10^308 or more looks like then, and few others."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STRING_OR_NUMBER = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|([0-9][0-9.eE+-]*+)', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SHOWN_CHARS = 24


def find_json_fault(raw: bytes) -> str:
    """Return in words what a strict reader would refuse in this JSON; "" when it takes all of it."""
    if _SUSPECT.search(b":" + raw.translate(_SHAPES)):  # cheap: most bodies have none
        for match in _STRING_OR_NUMBER.finditer(raw):
            if match[1] and math.isinf(_read(match[1])):
                return f"the number {match[1][:_SHOWN_CHARS].decode()} is infinite to most readers"
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _is_deeper(raw, MAX_DEPTH):
        return f"nested more than {MAX_DEPTH} deep"
    return ""


def _read(number: bytes) -> float:
    try:
        return float(number)
    except ValueError:  # no JSON at all, which its decoder says
        return 0.0


def _is_deeper(raw: bytes, depth: int) -> bool:
    """Say whether the JSON is nested deeper: each turn takes the innermost pairs of brackets away."""
    brackets = _STRING.sub(b"", raw).translate(None, _NO_BRACKETS).translate(_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
