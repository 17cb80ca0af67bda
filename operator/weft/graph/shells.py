"""What reads code from its command line: shells, and programs that hand a text of theirs to one.

They are looked for anywhere in a command line: a shell behind env, timeout or nice reads code just as well. Only who
stands first is taken at its word entirely, though, since `script` and `cmd` are also what people call their own things.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from weft.expr.lexical import OPENING
from weft.expr.template import is_templated

_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class _Reader:
    """How a program takes code: of which of its options that is the value, and where it stops to look for options.

    `program` are those options, `value` the ones that have a value of another kind, `data` those after which nothing is
    an option. `operands` is how many other words may stand before an option. `glued`: the code may stand in the same
    word as its option. `commands`: what is no option is code as well.
    """

    program: re.Pattern[str]
    value: re.Pattern[str] = _NEVER
    data: re.Pattern[str] = _NEVER
    operands: float = 0
    glued: bool = False
    commands: bool = False
    marks: str = "-+"


_SHELL = _Reader(
    re.compile(r"-[A-Zabd-z]*+c[A-Za-z]*+|--(session-)?commands?(=.*)?|--cmdline", re.DOTALL),
    re.compile(r"[-+][A-Za-z]*[oO]|--(rcfile|init-file|rc|config|env-config)"),
)
_FISH = _Reader(
    re.compile(r"-[ABD-Zabd-z]*+[cC].*|--(c|ini)[a-z-]*(=.*)?", re.DOTALL),
    re.compile(r"-[A-Za-z]*[pdfDo]|--(profile|profile-startup|debug|debug-output|features)"),
    glued=True,
)
_POWERSHELL = _Reader(
    re.compile(r"--?(c|co|com[a-z]*|cwa|e|ec|en|enc[a-z]*)", re.IGNORECASE),
    re.compile(r"--?(ex[a-z]*|ep|w[a-z]*|v[a-z]*|inp[a-z]*|if|o[a-z]*|se[a-z]*|config[a-z]*|cus[a-z]*)", re.IGNORECASE),
    re.compile(r"--?(f|fi|fil|file)", re.IGNORECASE),
    glued=True,
)
_WINDOWS_POWERSHELL = replace(_POWERSHELL, commands=True)
_CMD = _Reader(re.compile(r"(/[abd-jl-qs-z?](:[a-z]*)?)*+/[ckr](?![a-z]).*", re.IGNORECASE | re.DOTALL), marks="/")
_SU = _Reader(re.compile(r"-[A-Zabd-z]*+c.*|--(c|se)[a-z-]*(=.*)?", re.DOTALL), operands=inf, glued=True)
_SG = replace(_SU, commands=True)
_FLOCK = _Reader(
    re.compile(r"-c|--command"), re.compile(r"-[a-z]*[wE]|--(timeout|wait|conflict-exit-code)"), operands=1
)

SHELLS = (
    *("sh", "bash", "rbash", "dash", "ash", "hush", "zsh", "yash", "posh", "ksh", "mksh", "lksh", "oksh"),
    *("csh", "tcsh", "nu", "elvish", "xonsh"),
)
_READERS = {
    **dict.fromkeys(SHELLS, _SHELL), **dict.fromkeys(("su", "runuser", "script"), _SU),
    "fish": _FISH, "pwsh": _POWERSHELL, "powershell": _WINDOWS_POWERSHELL, "cmd": _CMD, "sg": _SG, "flock": _FLOCK,
}  # fmt: skip
_SPLIT = re.compile(r"(?:-[A-Za-z]*S|--split-string=?)(.*)", re.DOTALL)


def reads_code(command: Sequence[str]) -> bool:
    """Whether somebody in the command line takes one of its words, in which there may be templates, as a program."""
    words = [word for _, word in split_words(command)]
    for position, word in enumerate(words):
        reader = None if is_templated(word) else _READERS.get(program_name(word))
        if reader is not None and _takes_code(reader, words[position + 1 :], leads=position == 0):
            return True
    return False


def program_name(word: str) -> str:
    """What a program is called, without its folder and its version: bash for /usr/local/bin/bash-5.2."""
    name = posixpath.basename(word.replace("\\", "/")).lower()
    return name.removesuffix(".exe").rstrip("-.0123456789").removesuffix("-static")


def _takes_code(reader: _Reader, words: Sequence[str], *, leads: bool) -> bool:
    """Whether one of its arguments is code to the reader. A templated one could turn out to be any option."""
    rest, operands, glued = iter(words), 0, reader.glued and leads
    for word in rest:
        start, templated = word.partition(OPENING)[0], is_templated(word)
        if templated and start[:1] in ("", *reader.marks):
            own = (glued and "=" not in start) or reader.program.match(start) is not None
            return own or any(map(is_templated, rest))
        if reader.program.fullmatch(word):
            return True
        if reader.data.fullmatch(word):
            return False
        if reader.value.fullmatch(word):
            next(rest, None)
        elif word in ("-", "--"):  # su hands what is behind it to a shell
            if not reader.operands:
                return False
            glued = glued and word == "-"
        elif not word or word[0] not in reader.marks:
            if reader.commands and leads:
                return templated or any(map(is_templated, rest))
            operands += 1
            if operands > reader.operands:
                return False
    return False


def split_words(words: Sequence[str]) -> list[tuple[int, str]]:
    """Give the words, each with its place, those that `env -S` splits taken apart."""
    result: list[tuple[int, str]] = []
    behind_env = split_next = False
    for place, word in enumerate(words):
        found = _SPLIT.fullmatch(word) if behind_env else None
        text = word if split_next else found[1] if found is not None else ""
        result += [(place, part) for part in text.split() or [word]]
        split_next = found is not None and not found[1]
        behind_env = behind_env or posixpath.basename(word) == "env"
    return result
