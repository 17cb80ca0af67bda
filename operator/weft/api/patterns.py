"""Regular expressions that users write: RE2, in linear time, as CEL and Kubernetes read them.

Python's own would let one run's pattern and value keep the operator busy for ever. RE2 comes with the CEL library and
is reached through its `matches`.
"""

from functools import lru_cache
from typing import Any

from cel_expr_python import cel


class InvalidPattern(ValueError):
    """The text is no regular expression; the message says why."""


def matches(pattern: str, text: str) -> bool:
    """Say whether the pattern matches the text somewhere. Raises InvalidPattern."""
    found = _program().eval(data={"text": text, "pattern": pattern})
    if found.type() == cel.Type.ERROR:
        raise InvalidPattern(str(found.value()).removeprefix("INVALID_ARGUMENT: invalid regular expression: "))
    return bool(found.value())


@lru_cache(maxsize=1)
def _program() -> Any:
    names = {"text": cel.Type.STRING, "pattern": cel.Type.STRING}
    return cel.NewEnv(variables=names).compile("text.matches(pattern)")
