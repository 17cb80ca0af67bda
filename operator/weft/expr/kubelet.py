"""The kubelet's `$(NAME)`, which it expands in command, args and env values, and how to keep it from expanding rendered
values.

It reads from left to right: `$$` becomes one `$`, `$(NAME)` the variable (or stays, if there is none), any other `$` is
kept.
"""

import re

_TOKEN = re.compile(r"\$\$|\$\(([^()$=]{1,256})\)")  # what cannot be a variable's name is expanded to nothing else
_ESCAPED = re.compile(r"\$\$+|\$(?=\(|\Z)")


def escape_kubelet(text: str) -> str:
    """The text that the kubelet turns back into `text`, whatever is put before or after it.

    A `$` before `(` is doubled, and so is a run of several (the kubelet would halve it) and one at the end (a `(` might
    follow).
    """
    return _ESCAPED.sub(lambda run: run[0] * 2, text)


def kubelet_references(text: str) -> list[str]:
    """The names in `$(NAME)` that the kubelet would expand, in order; `$$(NAME)` is none."""
    return [match[1] for match in _TOKEN.finditer(text) if match[1] is not None]
