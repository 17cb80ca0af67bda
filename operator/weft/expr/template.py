"""Templates: text, or any JSON structure of texts, with `${{ expression }}` parts.

A text that is one `${{ }}` and nothing else gives the expression's value, with its type; otherwise the values are put
into the text, strings as they are, everything else as compact JSON. `$${{` is a literal `${{`.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from weft.expr import lexical
from weft.expr.cel import ExpressionError, Program, compile_expression
from weft.expr.kubelet import escape_kubelet as escape_kubelet
from weft.expr.kubelet import kubelet_references as kubelet_references

_OPENING = re.compile(r"(?<!\$)\$\{\{")


@dataclass(frozen=True, slots=True)
class Template:
    """A text with expressions in it: its literal parts (str) and its programs, in order."""

    text: str
    parts: tuple[str | Program, ...]

    @property
    def programs(self) -> tuple[Program, ...]:
        """The expressions, in order."""
        return tuple(part for part in self.parts if isinstance(part, Program))

    def render(self, variables: Mapping[str, Any]) -> Any:
        """The value of a whole-value template, with its type; else the text. Raises ExpressionError."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Program):
            return self.parts[0].evaluate(variables)
        return self._text(variables, to_text)

    def render_kubelet(self, variables: Mapping[str, Any]) -> str:
        """The text for a command, args or env value, in which the kubelet expands what the author wrote and no more.

        Raises ExpressionError, also when a value would complete or become a `$(NAME)` of the author's.
        """
        text = self._text(variables, lambda value: escape_kubelet(to_text(value)))
        written = [name for part in self.parts if isinstance(part, str) for name in kubelet_references(part)]
        if kubelet_references(text) != written:
            raise ExpressionError("a rendered value cannot be part of a $(NAME)", text=self.text)
        return text

    def _text(self, variables: Mapping[str, Any], shown: Callable[[Any], str]) -> str:
        return "".join(part if isinstance(part, str) else shown(part.evaluate(variables)) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Structure:
    """A JSON value in which any text may be a template; `programs` are all its expressions."""

    root: Any
    programs: tuple[Program, ...]

    def render(self, variables: Mapping[str, Any]) -> Any:
        """A new value with all templates rendered; raises ExpressionError with the `path` of the text that failed."""
        return _rendered(self.root, "", variables)


def is_templated(value: Any) -> bool:
    """Whether there is a `${{` (and not its literal form, `$${{`) in a JSON value."""
    if isinstance(value, str):
        return lexical.OPENING in value and _OPENING.search(value) is not None
    if isinstance(value, Mapping):
        return any(is_templated(item) for item in value.values())
    return isinstance(value, list) and any(is_templated(item) for item in value)


def mixes_text(text: str) -> bool:
    """Whether there is text beside an expression in a `${{ }}`: it can only be meant as a template, not as CEL."""
    bare = text.strip()
    whole = bare.startswith(lexical.OPENING) and bare.endswith(lexical.CLOSING)
    return is_templated(text) and not (
        whole and lexical.closing(bare, len(lexical.OPENING)) == len(bare) - len(lexical.CLOSING)
    )


def compile_template(text: str, names: Collection[str]) -> Template | str:
    """The template, or the plain text (`$${{` unescaped) when there is no expression in it; raises ExpressionError."""
    parts: list[str | Program] = []
    literal, at = "", 0
    while (start := text.find(lexical.OPENING, at)) >= 0:
        after = start + len(lexical.OPENING)
        if start > at and text[start - 1] == "$":
            literal += text[at : start - 1] + lexical.OPENING
            at = after
            continue
        end = lexical.closing(text, after)
        if end < 0:
            raise ExpressionError("`${{` without its `}}` (a literal one is written `$${{`)", text=text, position=start)
        literal += text[at:start]
        if literal:
            parts.append(literal)
        literal, at = "", end + len(lexical.CLOSING)
        parts.append(compile_expression(text[after:end], names))
    literal += text[at:]
    if not parts:
        return literal
    return Template(text, (*parts, literal) if literal else tuple(parts))


def _rendered(value: Any, path: str, variables: Mapping[str, Any]) -> Any:
    """A copy of a nested value with its templates rendered; puts the path on their errors."""
    if isinstance(value, dict):
        return {key: _rendered(item, f"{path}.{key}", variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_rendered(item, f"{path}[{index}]", variables) for index, item in enumerate(value)]
    if not isinstance(value, Template):
        return value
    try:
        return value.render(variables)
    except ExpressionError as error:
        error.path = path
        raise


def to_text(value: Any) -> str:
    """A value as text: strings as they are, everything else as compact JSON (`true`, `12`, `3.0`, `[1,2]`, `null`)."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
