"""Why nobody's parameter can become code: where templates may stand, and how variables may be named.

A template's value is data. It is refused where something would read it as a program: in `script`, in `command`, and in
the `args` of a shell with -c. The kubelet puts variables into command, args and the commands of probes where it finds
`$(NAME)`, so naming a variable whose value is templated, directly or through another variable, is the same thing and
refused too. Wherever templates mean nothing at all they are refused as well, with the list of places where they may
stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weft.api.job import JobBody
from weft.api.parameters import Parameter
from weft.api.problems import Problem, path_text
from weft.expr.template import is_templated, kubelet_references
from weft.graph.interpreters import programs
from weft.graph.shells import reads_code

PLACES = (
    "templates may stand in env values, image, args, `with`, parameters of graph and workflow, http and resource"
    " bodies, approval.message, wait, concurrency.key and cache.key"
)


def plain(value: Any, path: str, problems: list[Problem], why: str = "") -> Any:
    """A JSON value in which templates mean nothing: reports each one, gives the value with `$${{` made literal."""
    if isinstance(value, str):
        if is_templated(value):
            problems.append(Problem(path, why or f"cannot be templated (${{{{ }}}}); {PLACES}"))
        return value.replace("$${{", "${{") if "$${{" in value else value
    if isinstance(value, dict):
        problems += [
            Problem(path, f"the key {key!r} cannot be templated (${{{{ }}}}); {PLACES}")
            for key in value
            if is_templated(key)
        ]
        return {key: plain(item, path_text((str(key),), path), problems, why) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, f"{path}[{index}]", problems, why) for index, item in enumerate(value)]
    return value


def plain_defaults(declared: Iterable[Parameter], at: str, problems: list[Problem]) -> tuple[Parameter, ...]:
    """The declarations at the path `at`, their defaults held to be plain, with the literal `$${{` undone."""

    def held(parameter: Parameter, path: str) -> Parameter:
        default = plain(parameter.default, path, problems, _NO_TEMPLATE)
        return parameter if default == parameter.default else parameter.model_copy(update={"default": default})

    return tuple(held(parameter, f"{at}[{index}].default") for index, parameter in enumerate(declared))


def check_job(
    job: JobBody, main: Mapping[str, Any], env: Mapping[str, str | None], at: str, problems: list[Problem]
) -> None:
    """Refuse what could make a value a program in the job that stands at the path `at`.

    `main` is what its podTemplate says of the container main; `env` has the text of every variable of main, None for
    one that an expression gives.
    """
    for index, word in enumerate(job.command):
        plain(word, f"{at}.command[{index}]", problems, _NOT_CODE)
    if job.script is not None:
        plain(job.script, f"{at}.script", problems, _NOT_CODE)
    if "args" not in main:
        command = _words(main, "command") or job.command
        line = [*command, *job.args]
        shell = reads_code(line)
        for place in range(len(command), len(line)) if shell else sorted(programs(line)):
            index = place - len(command)
            if index >= 0:  # in the command itself no template may stand at all
                plain(line[place], f"{at}.args[{index}]", problems, _NOT_SHELL if shell else _NOT_PROGRAM)
    env = {**env, **{variable["name"]: str(variable.get("value", "")) for variable in main.get("env", ())}}
    if templated := _templated_variables(env):
        for path, text in _expanded(job, main, at):
            problems += [
                Problem(path, f"$({name}) would put the templated variable {name} into a command; {_MEND}")
                for name in kubelet_references(text)
                if name in templated
            ]


_NO_TEMPLATE = (
    "is taken as it is written, not as a template; put the expression where the parameter is used,"
    " or write $${{ for a literal ${{"
)
_MEND = "read it as an environment variable inside the program instead"
_NOT_CODE = f"cannot be templated: a value would become code; pass it through env and {_MEND.replace('it', 'that', 1)}"
_NOT_SHELL = (
    "args of a shell with -c cannot be templated: a value would become code; pass it through env and"
    ' write "$NAME" in the command'
)
_NOT_PROGRAM = (
    "the program of an interpreter cannot be templated: a value would become code; pass it through env, or as an"
    " argument behind the program"
)


def _templated_variables(env: Mapping[str, str | None]) -> set[str]:
    """The variables whose value is templated, or contains one that is by `$(NAME)`."""
    found = {name for name, text in env.items() if text is None or is_templated(text)}
    references = {name: set(kubelet_references(text)) for name, text in env.items() if text is not None}
    while more := {name for name, used in references.items() if name not in found and used & found}:
        found |= more
    return found


def _expanded(job: JobBody, main: Mapping[str, Any], at: str) -> Iterable[tuple[str, str]]:
    """Every text of the job into which the kubelet puts variables, with its path."""
    yield from ((f"{at}.command[{index}]", word) for index, word in enumerate(job.command))
    yield from ((f"{at}.args[{index}]", word) for index, word in enumerate(job.args))
    if job.script is not None:
        yield f"{at}.script", job.script
    yield from ((f"{at}.podTemplate", word) for field in ("command", "args") for word in _words(main, field))
    for where in (main, _part(main, "lifecycle")):
        for handler in where:
            executed = _part(_part(where, handler), "exec")  # the kubelet expands a probe's command as well
            yield from ((f"{at}.podTemplate", word) for word in _words(executed, "command"))


def _part(holder: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    part = holder.get(field)
    return part if isinstance(part, Mapping) else {}


def _words(holder: Mapping[str, Any], field: str) -> list[str]:
    words = holder.get(field)
    return [str(word) for word in words] if isinstance(words, list) else []
