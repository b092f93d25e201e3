r"""Characters beyond U+FFFF in comments: MySQL and MariaDB keep comments in three-byte UTF-8.

They would come back as question marks, silently. They are written as `\U0001f600`; so that every
text comes back as it was, the backslash of such words in the text itself is written so, too.
"""

from __future__ import annotations

import re

_ASTRAL = re.compile(r"[\U00010000-\U0010ffff]|\\(?=U[0-9a-f]{8})")
_ESCAPED = re.compile(r"\\U(?P<code>00(?:0[0-9a-f]|10)[0-9a-f]{4})")


def escape(text: str) -> str:
    r"""Return a text without such characters."""
    return _ASTRAL.sub(lambda m: f"\\U{ord(m.group()):08x}", text)


def unescape(text: str) -> str:
    """Return the text that was escaped."""
    return _ESCAPED.sub(lambda m: chr(int(m["code"], 16)), text)


def has_astral(text: str) -> bool:
    """Tell whether a text has characters beyond U+FFFF."""
    return not text.isascii() and max(text) > "\uffff"
