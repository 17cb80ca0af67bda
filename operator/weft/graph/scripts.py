"""A script beside a command: who runs it, and the mistakes that are natural there.

The script is the last word of the command, so the command has to be one that takes it for code: [python3, -c]. An
interpreter by itself, as other engines want it, would look for a file of that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from weft.api.job import JobBody
from weft.api.problems import Problem
from weft.graph.shells import SHELLS, program_name

_SHELL = (re.compile(r"[-+][A-Za-z]*c[A-Za-z]*"), re.compile(r"[-+][A-Za-z]*[oO]"), "-c")
_INTERPRETERS = {
    **dict.fromkeys(SHELLS, _SHELL),
    **dict.fromkeys(("python", "pypy"), (re.compile(r"-[A-Za-z]*c"), re.compile(r"-[A-Za-z]*[WX]"), "-c")),
    "node": (re.compile(r"-[a-z]*[ep]|--eval|--print"), re.compile(r"-[rC]|--require|--import"), "-e"),
    "perl": (re.compile(r"-[A-Za-z]*[eE]"), re.compile(r"(?!)"), "-e"),
    "ruby": (re.compile(r"-[A-Za-z]*e"), re.compile(r"-[A-Za-z]*[rIE]"), "-e"),
}
"""Of each: the option whose value is code, those that have another value, and the option to recommend."""
_BEFORE = frozenset({"env", "busybox"})


def check_script(job: JobBody, main: Mapping[str, Any], at: str, problems: list[Problem]) -> None:
    """Refuse what would not run the script of the job at the path `at`; `main` is its podTemplate's word on main."""
    if job.script is None:
        return
    if job.args:
        problems.append(
            Problem(f"{at}.args", "cannot stand beside script, which takes their place; pass values to it through env")
        )
    option = None if "command" in main else _lacks(job.command)
    if option is not None:
        command, mend = ", ".join(job.command), ", ".join([*(word for word in job.command if word != "-"), option])
        problems.append(
            Problem(
                f"{at}.command",
                f"command [{command}] would take the script for the name of a file; write [{mend}]",
            )
        )


def _lacks(command: Sequence[str]) -> str | None:
    """The option that an interpreter lacks which is followed by options alone; None when nothing is wrong."""
    words = [*command]
    while words and program_name(words[0]) in _BEFORE:
        words.pop(0)
    found = _INTERPRETERS.get(program_name(words[0])) if words else None
    if found is None:
        return None
    code, valued, option = found
    rest = iter(words[1:])
    for word in rest:
        if code.fullmatch(word) or not word.startswith(("-", "+")):
            return None
        if valued.fullmatch(word):
            next(rest, None)
    return option
