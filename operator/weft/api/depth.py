"""How deep a value may be nested: a bound of its own, since the API server's is none (10,000 levels).

What is deeper than a few hundred levels cannot be written as JSON, nor walked by anything that calls itself.
"""

from typing import Any

DEEPEST = 100
"""Of levels, in anything that people give: a spec, the value of a parameter."""

TOO_DEEP = "holds a value that is nested too deeply; a hundred levels are more than enough"


def is_too_deep(value: Any) -> bool:
    """Say whether a JSON value has more than `DEEPEST` levels of lists and objects."""
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return False
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return True
