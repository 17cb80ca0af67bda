"""Expressions in CEL: compiled once, checked for names and types, evaluated within a budget over plain JSON values.

The language is Google's CEL with the extensions strings (`split`, `join`, `replace`, `format`, ...), math, lists
(`sort`, `distinct`, `slice`, `flatten`, `lists.range`, ...), sets, encoders (`base64.encode`) and optionals
(`nodes.scrape.outputs.?count.orValue(0)`). int and double mix freely. Google's library parses, checks and brings the
functions; `evaluate` runs the tree (why: see `library`).

Limits: 8,192 characters, 32 levels of nesting, half a million steps per evaluation (half a second) and a million for
all expressions of one body, 1 MiB of JSON as a result. Whatever an expression does, `ExpressionError` is all that can
come of it.
"""

import difflib
import re
from bisect import bisect
from collections.abc import Collection, Mapping
from typing import Any

from weft.api.base import MAX_EXPRESSION
from weft.expr import lexical
from weft.expr.error import ExpressionError as ExpressionError
from weft.expr.error import Fault
from weft.expr.evaluate import plan
from weft.expr.frame import Budget, Frame, Plan, Variables
from weft.expr.kept import Kept
from weft.expr.library import checker
from weft.expr.references import References, references
from weft.expr.result import RESULT_LIMIT, to_json
from weft.expr.syntax import read_tree
from weft.expr.values import describe

STEPS = 500_000
"""Of one evaluation: about half a second. To look at each of ten thousand items takes a tenth to all of it."""
TOGETHER = 2 * STEPS
"""Of all evaluations over one set of `Variables`."""
_OF_TEXT, _OF_RESULT = 64, 4
"""Characters of an expression, and of its result, that count as a step where several share one budget."""
COMPARED = 200
"""How many known names a misspelt one is compared with, at most."""
KEPT = 256 * 1024
"""So much text of expressions is kept compiled: some fifty megabytes at the worst. Whoever needs one holds it himself.
"""

_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '(.*)' \(in container")
_OVERLOAD = re.compile(r"found no matching overload for '(.*)' applied to '\((.*)\)'")
_MISMATCHED = re.compile(r"Syntax error: (?:mismatched|extraneous) input '(.*?)' expecting")
_CALLED = re.compile(r"\w*\s*\(")
_NAMESPACES = frozenset({"math", "lists", "sets", "strings", "base64", "optional"})
_DASHED = re.compile(r"(?<!\w)(?<!\w\.)(\w+(?:\.\w+)*)\.(\??)\s*([A-Za-z_]\w*(?:-\w+)+)")
_WORD = re.compile(rf"\b(\w+)\s*\.\s*(?:(\?)\s*)?({'|'.join(lexical.WORDS)})\b")
_MAX_TOLD = 300
"""Characters of a complaint that are passed on: it may quote the whole text."""


class Program:
    """A compiled expression; immutable, and free of any state between evaluations.

    `text` is the bare expression. `roots` are the variables it needs; `nodes`, `params` the names read from these two
    (None: all of them, the name is computed), `node_fields` the (node, field) pairs, `run_fields` what is read of
    `run`, `outputs` the (node, output) pairs it cannot do without; `dashed` what reads like a node's name with a dash,
    but is a subtraction.
    """

    __slots__ = ("_plan", "dashed", "node_fields", "nodes", "outputs", "params", "roots", "run_fields", "text")

    def __init__(self, text: str, run: Plan, found: References, dashed: frozenset[str]) -> None:
        self.text = text
        self.roots = found.roots
        self.nodes = found.nodes
        self.node_fields = found.node_fields
        self.params = found.params
        self.run_fields = found.run_fields
        self.outputs = found.outputs
        self.dashed = dashed
        self._plan = run

    def __repr__(self) -> str:
        return f"Program({self.text!r})"

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        """The result as plain JSON, for variables of plain JSON (only those in `roots` are asked for); raises
        ExpressionError. Over `Variables` it shares their budget.
        """
        shared = variables if isinstance(variables, Variables) else None
        budget = Budget(STEPS if shared is None else min(STEPS, shared.left))
        given, size = budget.left, 0
        try:
            budget.charge(0)
            values = {name: variables[name] for name in self.roots if name in variables}
            found = self._plan(Frame(values, budget))
            size = RESULT_LIMIT  # as long as it is not known
            result, size = to_json(found)
            return result
        except Fault as fault:
            raise ExpressionError(fault.detail, text=self.text, position=fault.at or 0) from None
        except RecursionError:
            raise ExpressionError("a value is nested too deeply", text=self.text, position=0) from None
        except Exception as error:  # the promise above holds for what nobody has foreseen, too
            raise ExpressionError(f"{type(error).__name__}: {error}", text=self.text) from error
        finally:
            if shared is not None:
                used = max(given, 0) - max(budget.left, 0)
                shared.charge(1 + len(self.text) // _OF_TEXT + used + size // _OF_RESULT)

    def evaluate_bool(self, variables: Mapping[str, Any]) -> bool:
        """Like `evaluate`, for a condition; raises ExpressionError if the result is not true or false."""
        value = self.evaluate(variables)
        if not isinstance(value, bool):
            raise ExpressionError(f"gave {describe(value)}, a true or false was expected", text=self.text, position=0)
        return value


_PROGRAMS: Kept[Program] = Kept(KEPT)


def compile_expression(text: str, names: Collection[str]) -> Program:
    """The program of an expression, bare or wholly in `${{ }}`, in which `names` may be used; cached.

    Raises ExpressionError for a syntax or type error, an unknown name or function, and a text that is too long.
    """
    return _PROGRAMS.get((_bare(text), frozenset(names)), _compiled)


def _bare(text: str) -> str:
    text = text.strip()
    if text.startswith(lexical.OPENING):
        end = lexical.closing(text, len(lexical.OPENING))
        if end == len(text) - len(lexical.CLOSING):
            return text[len(lexical.OPENING) : end].strip()
        raise ExpressionError("one expression was expected, wholly in `${{ }}` or bare", text=text, position=0)
    return text


def _compiled(text: str, names: frozenset[str]) -> Program:
    if len(text) > MAX_EXPRESSION:
        raise ExpressionError(f"an expression has at most {MAX_EXPRESSION} characters, this one {len(text)}", text=text)
    if not text:
        raise ExpressionError("the expression is empty", text=text, position=0)
    try:
        tree = read_tree(checker(names).compile(text).serialize())
        dashed = frozenset(match[3] for match in _dashes(text) if match[1] == "nodes")
        return Program(text, plan(tree), references(tree, names), dashed)
    except Fault as fault:
        raise ExpressionError(fault.detail, text=text, position=fault.at) from None
    except (TypeError, UnicodeError):
        raise ExpressionError("the text is not valid Unicode", text=ascii(text)) from None
    except RuntimeError as error:
        raise _explained(text, names, str(error)) from None


def _dashes(text: str) -> list[re.Match[str]]:
    return list(_DASHED.finditer(lexical.without_strings(text)))


def _in_brackets(found: re.Match[str]) -> str:
    """The mend for a name that cannot stand behind a dot; the match: what it belongs to, `?` or None, the name."""
    return f'write {found[1]}[{found[2] or ""}"{found[3]}"]'


def _explained(text: str, names: frozenset[str], message: str) -> ExpressionError:
    """The library's first complaint, in our words."""
    found = _ERROR.search(message)
    if found is None or found[1] == "-1":
        too_deep = "nested too deeply, or too long a chain of operators (32 levels at most)"
        return ExpressionError(too_deep if "recursion" in message else message, text=text)
    lines = text.split("\n")
    position = min(sum(len(line) + 1 for line in lines[: int(found[1]) - 1]) + int(found[2]) - 1, len(text))
    for dashed in _dashes(text):
        if dashed.start(3) <= position <= dashed.end():
            detail = f"{_in_brackets(dashed)}: a dash in a name reads as a subtraction"
            return ExpressionError(detail, text=text, position=dashed.start(3))
    for word in _WORD.finditer(lexical.without_strings(text)):
        if word.start(3) == position:
            detail = f"{_in_brackets(word)}: `{word[3]}` is a word of the language"
            return ExpressionError(detail, text=text, position=position)
    if undeclared := _UNDECLARED.search(found[3]):
        name = undeclared[1].split(".")[0]
        position = text.rfind(name, 0, position + 1) if "." in undeclared[1] else position
        return ExpressionError(_unknown(text, names, name, position), text=text, position=position)
    return ExpressionError(_reworded(found[3]), text=text, position=position)


def _unknown(text: str, names: frozenset[str], name: str, position: int) -> str:
    if _CALLED.match(text, position):
        return f"there is no function {name}()"
    if name in _NAMESPACES:
        return f"there is no such function in {name}"
    known = ", ".join(sorted(names)) or "no names"
    return f'there is no name "{name}" here{suggestion(name, names) or f" (there are {known})"}'


def _reworded(complaint: str) -> str:
    complaint = complaint.removesuffix(" [INVALID_ARGUMENT]")
    complaint = complaint if len(complaint) <= _MAX_TOLD else f"{complaint[:_MAX_TOLD]}…"
    if overload := _OVERLOAD.search(complaint):
        sign = overload[1].replace("@in", "in").strip("_").replace("_", "") or overload[1]
        mend = "; dyn(...) around one operand leaves the choice to the evaluation" if "_" in overload[1] else ""
        return f"`{sign}` cannot take ({overload[2]}){mend}"
    if mismatched := _MISMATCHED.search(complaint):
        return "the expression ends too early" if mismatched[1] == "<EOF>" else f"unexpected `{mismatched[1]}`"
    return complaint[:1].lower() + complaint[1:]


def suggestion(name: str, known: Collection[str]) -> str:
    """`; did you mean "price"?` for a name close to a known one, else "".

    Of very many names those are compared that stand next to it in the alphabet: comparing costs 30 us each.
    """
    names = sorted(known)
    if len(names) > COMPARED:
        at = bisect(names, name)
        names = names[max(0, at - COMPARED // 2) : at + COMPARED // 2]
    close = difflib.get_close_matches(name, names, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
