"""The little that must be known about CEL's text before it is parsed: where its string literals are, and where a `${{
}}` ends.
"""

import re

OPENING = "${{"
CLOSING = "}}"
WORDS = ("true", "false", "null", "in")
"""Words that are no names, not even behind a dot."""

_RAW = r"[rR][bB]?|[bB][rR]"
_STRING = (
    rf'(?:{_RAW})(?:"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"[^"\n]*"|\'[^\'\n]*\')'
    r'|[bB]?(?:"""(?:\\[\s\S]|[^\\])*?"""|\'\'\'(?:\\[\s\S]|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')'
)
_TOKEN = re.compile(rf"(?P<string>{_STRING})|(?P<comment>//[^\n]*)|\w+|[\s\S]")


def without_strings(text: str) -> str:
    """The text with its string literals and comments blanked out, every other character in its place."""
    return "".join(" " * len(match[0]) if match.lastgroup else match[0] for match in _TOKEN.finditer(text))


def closing(text: str, start: int) -> int:
    """Where the `}}` stands that ends the expression starting at `start`; braces in strings and map literals don't
    count. -1: nowhere.
    """
    depth = 0
    for match in _TOKEN.finditer(text, start):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            if depth == 0 and text.startswith(CLOSING, match.start()):
                return match.start()
            depth -= 1
    return -1
