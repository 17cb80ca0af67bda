"""The modifiers of a node that have a shape of their own: how it is retried, what it goes over, and by which key its
results are kept.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from weft.api.node import ForEach as ForEachModel
from weft.api.quantity import parse_quantity
from weft.api.retry import Retry
from weft.expr.cel import Program
from weft.expr.scope import BASE_NAMES, RETRY_NAMES, loop_names
from weft.expr.template import Structure, Template, mixes_text
from weft.expr.values import TYPES as VALUE_TYPES
from weft.graph.compiled import Backoff, ForEach, RetryPolicy
from weft.graph.injection import plain
from weft.graph.scoping import Scope, structure

RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"}
    | {"namespace", "null", "package", "return", "true", "var", "void", "while"}
)
"""Words that cannot be names in CEL."""
TYPES = frozenset(VALUE_TYPES) | {"dyn", "uint"}
"""Names that CEL has given away already."""


def item_names(loop: ForEachModel, scope: Scope, at: str) -> Collection[str]:
    """The names that the loop at the path `at` brings into what belongs to one item."""
    alias = loop.as_
    if "-" in alias or alias in RESERVED:
        scope.report(f"{at}.as", f"expressions cannot write {alias!r}; use letters, digits and '_', no word of CEL")
    elif alias in TYPES:
        scope.report(f"{at}.as", f"{alias!r} is a type in expressions; choose another name")
    elif alias in BASE_NAMES | {"index"}:
        scope.report(f"{at}.as", f"{alias!r} would hide {alias}; choose another name")
    else:
        return loop_names(alias)
    return loop_names(None)


def retry_policy(retry: Retry, scope: Scope, at: str) -> RetryPolicy:
    """The policy at the path `at`; `scope` is that of the node, to which how the attempt ended is added."""
    memory, backoff = retry.on_out_of_memory, retry.backoff
    return RetryPolicy(
        limit=retry.limit,
        backoff=Backoff(backoff.initial_seconds, backoff.factor, backoff.max_seconds, backoff.jitter),
        when=None if retry.when is None else scope.with_names(RETRY_NAMES).program(retry.when, f"{at}.when"),
        disruptions=retry.disruptions,
        memory_factor=memory.factor if memory else None,
        memory_max=parse_quantity(memory.max) if memory and memory.max is not None else None,
    )


def for_each(loop: ForEachModel, scope: Scope, at: str) -> ForEach:
    """The loop at the path `at`; its list is made once, in the scope of the node and not of an item."""
    source = loop.source
    items: Program | list[Any] | None = None
    count: Program | int | None = None
    if isinstance(source, dict):
        size = source["range"]
        path = f"{at}.range" if loop.range is not None else f"{at}.items.range"
        count = scope.program(size, path) if isinstance(size, str) else size
    elif isinstance(source, str):
        items = scope.program(source, f"{at}.items")
    else:
        items = plain(source, f"{at}.items", scope.problems, _NO_TEMPLATES)
    return ForEach(items, count, loop.as_, loop.batch_size, loop.max_parallel, loop.max_failed)


_NO_TEMPLATES = "a list that is written out has no templates; write the whole list as one CEL expression: [params.a, 2]"


def cache_key(key: str, scope: Scope, at: str) -> Structure:
    """The key at the path `at`: CEL, and where text is mixed with `${{ }}`, which no CEL can be, a template."""
    if mixes_text(key):
        return scope.structure(key, at)
    return structure(Template(key, (scope.program(key, at, _KEY_IS_CEL),)))


_KEY_IS_CEL = (
    "; cache.key is CEL: write 'v2-' + params.day, or with the text outside of the braces, v2-${{ params.day }}"
)
