"""Interpreters that take a program as a word of their command line: `python -c CODE`, `node -e CODE`, `deno eval CODE`.

Unlike with a shell, what follows the program is data: `python -c CODE a b` puts a and b into sys.argv, and nothing
expands them. So the program alone may not be templated. They are looked for wherever shells are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weft.expr.lexical import OPENING
from weft.expr.template import is_templated
from weft.graph.shells import program_name, split_words

_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class _Interpreter:
    """Which options have a program for their value, and how the others are passed over.

    `code` begins such an option, the program being the rest of the word or, where there is none, the next word. One of
    `value` has a value of another kind in the next word; behind one of `data` nothing is an option, and with `last`
    neither is anything behind a program. `command`: the program is the first operand behind this word.
    """

    code: re.Pattern[str]
    value: re.Pattern[str] = _NEVER
    data: re.Pattern[str] = _NEVER
    last: bool = False
    command: str = ""


_PYTHON = _Interpreter(
    re.compile(r"-[bBdEhiIOPqRsSuvVx?]*c"),
    re.compile(r"-[bBdEhiIOPqRsSuvVx?]*[WX]|--check-hash-based-pycs"),
    re.compile(r"-[bBdEhiIOPqRsSuvVx?]*m.*", re.DOTALL),
    last=True,
)
_NODE = _Interpreter(
    re.compile(r"-(e|p|pe)(?=$|=)=?|--(eval|print)(?=$|=)=?"),
    re.compile(
        r"-[rC]|--(require|import|loader|experimental-loader|conditions|env-file|input-type|title|inspect-port)"
    ),
)
_BUN = _Interpreter(_NODE.code, re.compile(r"-[rcd]|--(preload|config|cwd|define|env-file|conditions|loader)"))
_PERL = _Interpreter(re.compile(r"-[acfglnpsStTuUwWX0-9]*[eEMm]"), re.compile(r"-[acfglnpsStTuUwWX0-9]*I"))
_RUBY = _Interpreter(re.compile(r"-[acdlnpsSvwW0-9]*e"), re.compile(r"-[acdlnpsSvwW0-9]*[rICEFx]|--(encoding|require)"))
_PHP = _Interpreter(
    re.compile(r"-[aCeHimnqsvw]*[rBRE]|--(run|process-begin|process-code|process-end)(?=$|=)=?"),
    re.compile(r"-[aCeHimnqsvw]*[dcfzFtS]|--(define|php-ini|file|zend-extension|process-file|docroot|server)"),
)
_DENO = _Interpreter(
    _NEVER, re.compile(r"-[cLA]|--(config|ext|import-map|cert|log-level|seed|env-file)"), command="eval"
)

_INTERPRETERS = {
    "python": _PYTHON, "pypy": _PYTHON, "node": _NODE, "nodejs": _NODE, "bun": _BUN, "perl": _PERL, "ruby": _RUBY,
    "php": _PHP, "deno": _DENO,
}  # fmt: skip


def programs(command: Sequence[str]) -> set[int]:
    """Give the words of a command line, by their places, that are templated and a program to an interpreter in it."""
    words = split_words(command)
    return {
        place
        for at, (_, word) in enumerate(words)
        if not is_templated(word) and (interpreter := _INTERPRETERS.get(program_name(word))) is not None
        for place, text in _programs(interpreter, words[at + 1 :])
        if is_templated(text)
    }


def _programs(interpreter: _Interpreter, words: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The programs among the arguments of an interpreter, each with its place."""
    rest = iter(words)
    reads_operand = False
    for place, word in rest:
        written = word.partition(OPENING)[0]
        if not word.startswith("-") or word == "-":
            if reads_operand:
                yield place, word
            if reads_operand or word != interpreter.command:  # a file, and what follows is its own
                return
            reads_operand = True
        elif (found := interpreter.code.match(written)) is not None:
            yield (place, word) if found.end() < len(word) else next(rest, (place, ""))
            if interpreter.last:
                return
        elif interpreter.data.fullmatch(word) or (word == "--" and not reads_operand):
            return
        elif interpreter.value.fullmatch(word):
            next(rest, None)
