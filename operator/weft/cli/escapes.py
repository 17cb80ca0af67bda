"""The one thing in JSON that is no YAML: a character beyond U+FFFF escaped in two halves, "\\ud83d\\ude00".

json.dumps writes them so by default, and kubectl reads them where a file begins with a brace. Text counts as JSON when
it begins so and has nothing but JSON's signs outside of double quotes: there, a backslash always is an escape.
"""

import re

_HALVES = re.compile(rb"(?<!\\)((?:\\\\)*+)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_STRING_OR_STRANGE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[^\s{}\[\]:,+.0-9eEtrufalsn-]', re.DOTALL)


def whole_characters(text: bytes) -> bytes:
    """JSON with each such pair as the one escape that YAML has for it; any other text as it is."""
    if not text.lstrip().startswith(b"{") or _HALVES.search(text) is None:
        return text
    is_json = all(found[0].startswith(b'"') for found in _STRING_OR_STRANGE.finditer(text))
    return _HALVES.sub(_joined, text) if is_json else text


def _joined(halves: re.Match[bytes]) -> bytes:
    high, low = int(halves[2], 16) - 0xD800, int(halves[3], 16) - 0xDC00
    return halves[1] + b"\\U%08X" % (0x10000 + high * 0x400 + low)
