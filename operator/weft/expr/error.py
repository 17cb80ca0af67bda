"""What can go wrong with an expression, and how it is told to the user: what, where, and in which text.

`ExpressionError` is the only exception that leaves this package. Inside it, evaluation raises `Fault`, which knows what
happened (and, once it has passed the sub-expression it happened in, where) but not yet in which text; `Program` makes
one from the other.
"""

_WINDOW = 40


class ExpressionError(ValueError):
    """An expression or template that cannot be compiled or evaluated.

    `text` is the expression, `position` the 0-based character offset in it (None if unknown), `detail` what is wrong,
    and `path` where the text stands inside a larger structure, such as ".spec.replicas" or ".args[0]" ("" for a bare
    text).
    """

    def __init__(self, detail: str, *, text: str, position: int | None = None, path: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.text = text
        self.position = position
        self.path = path

    def __str__(self) -> str:
        if self.position is None:
            return f"{self.detail} in `{_around(self.text, 0)}`"
        before = self.text[: self.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        place = f"column {column}" if "\n" not in self.text else f"line {line}, column {column}"
        return f"{self.detail} at {place} of `{_around(self.text, self.position)}`"


class Fault(Exception):
    """A failed evaluation, on its way out of the expression; `at` is filled in by the innermost call it passes."""

    final = False

    def __init__(self, detail: str, at: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.at = at

    def located(self, at: int) -> "Fault":
        """The same fault, placed at an offset unless a deeper sub-expression has placed it already."""
        if self.at is None:
            self.at = at
        return self


class BudgetExceeded(Fault):
    """The expression asks for more work than one expression may; no `||` or `&&` can absorb this one."""

    final = True

    def __init__(self) -> None:
        super().__init__("this would be too much work: loop over less, or build a smaller value")


def _around(text: str, position: int) -> str:
    start, end = max(0, position - _WINDOW), position + _WINDOW
    middle = " ".join(text[start:end].split())
    return f"{'…' if start else ''}{middle}{'…' if end < len(text) else ''}"
