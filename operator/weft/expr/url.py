"""URLs with values in them: a value stays in the place that the author gave it, and leads the request nowhere else.

What an author writes around a value is meant as written: in `https://${{ params.region }}.example.com/x` the request
goes to example.com, and in `https://a.example.com/orders/${{ params.order }}` to an order. Values are not escaped, as
paths and queries that a step before has made are used too; one that would lead elsewhere is refused.

A URL that begins with a template and in which no scheme is written leaves the address to that value.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from weft.expr.cel import ExpressionError
from weft.expr.template import Template, to_text

_SCHEME = re.compile(r"[^/?#]*://")
_URL = re.compile(r"[^/?#]*://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?")
_HOST = re.compile(r"[A-Za-z0-9._-]*")
_END_OF_AUTHORITY = re.compile(r"[A-Za-z0-9._-]*(:[0-9]*)?")
_WHOLE_AUTHORITY = re.compile(r"([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")
_PORT = re.compile(r"[0-9]*(:[0-9]*)?")
_SEPARATOR = re.compile(r"[/\\]|%2f|%5c", re.IGNORECASE)
_DOTS = re.compile(r"(\.|%2e){1,2}(;.*)?", re.IGNORECASE)
_PASSED_OVER = {ord(sign): None for sign in "\t\r\n"}
"""What URL parsers take out before they read."""

_NO_HOST = "stands in the host of the URL, so only letters, digits, `.`, `_` and `-` may be in it"
_NO_PATH = "stands behind the host of the URL, so it must begin with `/`, which is better written before it"
_NO_SCHEME = "stands in the scheme of the URL, so only letters and digits may be in it"
_LEAVES = "leads out of the URL's path that is written before it, by `.` or `..` between slashes"
_CUTS = "ends the URL's path with `?` or `#` before what is written behind it"


class UrlText(Template):
    """A template for a URL, whose values stay in their places."""

    __slots__ = ()

    @classmethod
    def of(cls, template: Template) -> "UrlText":
        """The same text, as a URL."""
        return cls(template.text, template.parts)

    def render(self, variables: Mapping[str, Any]) -> Any:
        """The value of a whole-value template; else the text. Raises ExpressionError, also when it leads elsewhere."""
        if len(self.parts) == 1:
            return super().render(variables)
        pieces = [
            (part, False) if isinstance(part, str) else (to_text(part.evaluate(variables)), True) for part in self.parts
        ]
        if (found := misplaced(pieces)) is not None:
            index, why = found
            part = self.parts[index]
            raise ExpressionError(f"the value {why}", text=part if isinstance(part, str) else part.text.strip())
        return "".join(text for text, _ in pieces)


def misplaced(pieces: Sequence[tuple[str, bool]]) -> tuple[int, str] | None:
    """Give the first value that leads elsewhere, by its index, and why; None when there is none.

    `pieces` are the texts that make up the URL in order, each with whether it is a value.
    """
    texts = [text.translate(_PASSED_OVER) for text, _ in pieces]
    values = [index for index, (_, is_value) in enumerate(pieces) if is_value]
    written = "".join("\0" if is_value else text for text, (_, is_value) in zip(texts, pieces, strict=True))
    delegated = pieces[0][1] and _SCHEME.match(written) is None
    free = values[1:] if delegated else values
    for index in free:
        literal = next((texts[after] for after in range(index + 1, len(pieces)) if not pieces[after][1]), "")
        why = _wrong("".join(texts[:index]), texts[index], literal, delegated=delegated)
        if why is not None:
            return index, why
    return _dotted(texts, free)


def _wrong(before: str, value: str, literal: str, *, delegated: bool) -> str | None:
    """What is wrong with a value behind the text `before`; `literal` is what is written next behind it."""
    url = _URL.match(before)
    if url is None:
        return None if _HOST.fullmatch(value) else _NO_SCHEME
    if url.end() < len(before):  # in the query, or behind it
        return None
    if url["path"] is None:
        behind = "" if delegated else literal[:1]
        if behind not in ("", "/", "?", "#"):  # the host goes on
            return None if _HOST.fullmatch(value) else _NO_HOST
        if not url["authority"]:
            return None if _WHOLE_AUTHORITY.fullmatch(value) else _NO_HOST
        # Where nothing is written behind it, `https://a.example${{ params.path }}`, a whole host stands before it.
        more = _PORT if not behind and url["authority"][-1].isalnum() else _END_OF_AUTHORITY
        if more.fullmatch(value):
            return None
        if value[:1] not in ("/", "?", "#"):
            return _NO_PATH
    return _CUTS if literal.startswith("/") and re.search("[?#]", value) else None


def _dotted(texts: Sequence[str], values: Sequence[int]) -> tuple[int, str] | None:
    """The first value that makes a segment of the path, or a part of one, that leads up or nowhere."""
    url = _URL.match("".join(texts))
    if url is None or url["path"] is None:
        return None
    ends = list(accumulate(map(len, texts)))
    signs = [(found.start(), found.end()) for found in _SEPARATOR.finditer(url.string, *url.span("path"))]
    for (_, start), (end, _) in zip(signs, [*signs[1:], (url.end(), 0)], strict=True):
        if _DOTS.fullmatch(url.string, start, end):
            for index in values:
                if ends[index] - len(texts[index]) < end and ends[index] > start:
                    return index, _LEAVES
    return None
