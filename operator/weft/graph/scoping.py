"""The place an expression stands in: which names it may use there, and who is told when it is wrong.

A `Scope` compiles expressions, templates and whole structures of templates for one place of a Workflow. What is wrong
is added to a shared list of problems and something harmless is handed back, so that one pass over a Workflow finds
every problem in it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from weft.api.problems import Problem, path_text
from weft.expr import lexical
from weft.expr.cel import ExpressionError, Program, compile_expression, suggestion
from weft.expr.scope import check_references, output_messages
from weft.expr.template import Structure, Template, compile_template
from weft.graph.enough import Enough, unless_enough

STAND_IN = compile_expression("false", ())
"""Takes the place of an expression that does not compile, until the problem it left ends the compilation."""

RUN_FIELDS = frozenset({"name", "namespace", "uid", "outcome", "failures", "attempt"})
AFTERWARDS = frozenset({"outcome", "failures"})
"""What `run` has only when the graph is over."""

MAX_WRITTEN = 512 * 1024
"""Characters of all the expressions of one Workflow, or NodeType. Compiled they take up to two hundred times of it."""

_DASHED_NODE = re.compile(r"(?<![\w.])nodes\s*\.\s*(?:(\?)\s*)?([a-z][a-z0-9]*(?:-+[a-z0-9]+)+)")


class KubeletText(Template):
    """A template for args and env: text in which the kubelet expands nothing but what the author wrote."""

    __slots__ = ()

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text; raises ExpressionError."""
        return self.render_kubelet(variables)


class Written:
    """The expressions of one Workflow, or NodeType: each counts once, in however many nodes the defaults bring it."""

    def __init__(self) -> None:
        self.size = 0
        self._programs: set[Program] = set()

    def add(self, program: Program) -> bool:
        """Count one; False when they are too much."""
        if program not in self._programs:
            self._programs.add(program)
            self.size += len(program.text)
        return self.size <= MAX_WRITTEN


@dataclass(frozen=True, slots=True)
class Scope:
    """The names of one place.

    `names` are the variables, `params` the parameters declared, `nodes` the nodes of the graph, `ancestors` those that
    have surely ended before, `outputs` what nodes can give, where that is known. `ended` says that the graph is over,
    so that `run.outcome` is known. `graph` is the named graph that the place is in, if it is in one. `problems` is
    shared, and each is told with the `remark`; so is `doubts`: what can only fail, should it ever be evaluated.
    """

    problems: list[Problem]
    names: frozenset[str]
    params: Collection[str]
    nodes: Collection[str] = ()
    ancestors: Collection[str] = ()
    outputs: Mapping[str, Collection[str]] = field(default_factory=dict)
    ended: bool = False
    graph: str | None = None
    remark: str = ""
    written: Written = field(default_factory=Written)
    doubts: dict[Problem, None] = field(default_factory=dict)

    def with_names(self, *more: Collection[str]) -> Scope:
        """The same place with further variables."""
        return replace(self, names=self.names.union(*more))

    def inherited(self) -> Scope:
        """The same place for what the Workflow's defaults bring into it: they are written where other names hold."""
        if self.graph is None:
            return self
        seen = "there defaults see that graph's parameters and nodes; declare what they need there, and hand it on"
        return replace(self, remark=f" (in graph {self.graph!r}: {seen})")

    def report(self, path: str, message: str) -> None:
        """Add a problem, unless it is known: what defaults bring into many nodes is one. Raises Enough."""
        problem = Problem(path, message + self.remark)
        if problem not in self.problems:
            unless_enough(self.problems)
            self.problems.append(problem)

    def program(self, text: str, path: str, mend: str = "") -> Program:
        """The expression `text`, which stands at `path`; a stand-in when it is wrong, and `mend` is told if no CEL."""
        try:
            program = compile_expression(text, self.names)
        except ExpressionError as error:
            self.report(path, self._dashed(text) or f"{error}{mend}")
            return STAND_IN
        self._check(program, path)
        return program

    def template(self, text: str, path: str) -> Template | str:
        """The template `text`, or the plain text if there is no expression in it; "" when it is wrong."""
        try:
            template = compile_template(text, self.names)
        except ExpressionError as error:
            self.report(path, self._dashed(text) or str(error))
            return ""
        if isinstance(template, Template):
            for program in template.programs:
                self._check(program, path)
        return template

    def kubelet_text(self, text: str, path: str) -> Template | str:
        """Like `template`, for a text that the kubelet will read."""
        template = self.template(text, path)
        return KubeletText(template.text, template.parts) if isinstance(template, Template) else template

    def structure(self, value: Any, path: str) -> Structure:
        """The structure of templates in a JSON value."""
        return structure(self._leaves(value, path))

    def _leaves(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            for key in value:
                if lexical.OPENING in str(key):
                    self.report(path, f"the key {key} cannot be a template; give the whole object by one expression")
            return {key: self._leaves(item, path_text((str(key),), path)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._leaves(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return self.template(value, path) if isinstance(value, str) else value

    def _dashed(self, text: str) -> str | None:
        """The mend for a node whose dash was read as a subtraction, when that is why an expression does not compile."""
        code = lexical.without_strings(text)
        read = {(found[2], found[1] or "") for found in _DASHED_NODE.finditer(code)}
        written = next((f'nodes[{sign}"{name}"]' for name, sign in sorted(read) if name in self.nodes), None)
        return written and f"write {written}: a dash in a name reads as a subtraction (in `{text}`)"

    def _check(self, program: Program, path: str) -> None:
        if not self.written.add(program):
            mend = "hand large values on as parameters, or call other Workflows"
            self.report(path, f"all expressions together have at most {MAX_WRITTEN} characters, this is beyond; {mend}")
            raise Enough
        for message in check_references(program, ancestors=self.ancestors, all_nodes=self.nodes, params=self.params):
            self.report(path, _with_text(program, message))
        for message in output_messages(program, self.outputs) if self.outputs else ():
            self.doubts[Problem(path, _with_text(program, message) + self.remark)] = None
        for message in self._run_messages(program.run_fields):
            self.report(path, message)

    def _run_messages(self, used: frozenset[str]) -> list[str]:
        messages = [
            f'run.{field}: run has no "{field}"{suggestion(field, RUN_FIELDS)} (it has {", ".join(sorted(RUN_FIELDS))})'
            for field in sorted(used - RUN_FIELDS)
        ]
        if not self.ended:
            messages += [
                f"run.{field} is known only in finally and compensate, when the graph is over;"
                " hand it on to a graph as a parameter"
                for field in sorted(used & AFTERWARDS)
            ]
        return messages


def _with_text(program: Program, message: str) -> str:
    return message if program.text in message else f"{message} (in `{program.text}`)"


def structure(root: Any) -> Structure:
    """The structure over a JSON value whose templates are compiled already."""
    programs: list[Program] = []

    def collect(value: Any) -> None:
        if isinstance(value, Template):
            programs.extend(value.programs)
        elif isinstance(value, dict):
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)

    collect(root)
    return Structure(root, tuple(programs))
