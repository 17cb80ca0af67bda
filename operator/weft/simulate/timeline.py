"""What came of a simulation, to read: a row per node with a bar over the time of the run, then what failed and why.

    price            |    ##x..####        |  Succeeded   2.0 - 6.5 s  2 attempts

Plain ASCII and never wider than asked for (names and reasons are shortened), so that it can be pasted anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import orjson

from weft.api.conditions import Reason
from weft.engine.state import FAILED, SUCCEEDED
from weft.simulate.history import Attempt, History
from weft.simulate.report import STUCK, NodeReport, node_reports

MIN_WIDTH, MAX_ROWS, MAX_TROUBLES = 60, 400, 20
MAX_NAME, MAX_TEXT = 40, 500

RUNNING, WAITING, FAILING, STOPPED = "#", ".", "x", "!"
LEGEND = f"{RUNNING} running   {WAITING} waiting   {FAILING} attempt failed   {STOPPED} attempt stopped"


def timeline(history: History, *, width: int = 100) -> str:
    """Draw a simulation in at most `width` columns (at least 60)."""
    width = max(width, MIN_WIDTH)
    nodes = node_reports(history)
    rows = dict(islice(nodes.items(), MAX_ROWS))
    attempts: dict[str, list[Attempt]] = {}
    for attempt in history.attempts:
        attempts.setdefault(_row_of(attempt), []).append(attempt)
    undone = {name: found for name, found in attempts.items() if name.startswith("undo ")}
    left = min(max(map(len, [*rows, *undone]), default=0), MAX_NAME, width // 3)
    right = min(max((len(_facts(node)) for node in rows.values()), default=0), width - left - 15)
    scale = _Scale(history.elapsed, width - left - right - 5)
    lines = [_shortened(_headline(history), width), "", f"{'':{left}}  {scale.axis()}"]
    for name, node in rows.items():
        bar = scale.bar(node, attempts.get(name, ()))
        lines.append(f"{_shortened(name, left):{left}} |{bar}| {_shortened(_facts(node), right)}".rstrip())
    if len(nodes) > len(rows):
        lines.append(f"... and {len(nodes) - len(rows)} more nodes; see --json")
    lines += [f"{_shortened(name, left):{left}} |{scale.bar(None, found)}|" for name, found in undone.items()]
    lines += ["", LEGEND]
    for paragraph in (_troubles(nodes), _outputs(history)):
        lines += ["", *(_shortened(line, max(width, MAX_TEXT)) for line in paragraph)] if paragraph else []
    return "\n".join(lines) + "\n"


class _Scale:
    """Seconds to columns."""

    def __init__(self, seconds: float, columns: int) -> None:
        self.seconds = seconds
        self.columns = max(columns, 10)

    def axis(self) -> str:
        end = f"{_decimal(self.seconds)} s"
        return f"0{end:>{self.columns - 1}}"

    def bar(self, node: NodeReport | None, attempts: Iterable[Attempt]) -> str:
        cells = [" "] * self.columns
        if node is not None and node.whole.start is not None:
            self._paint(cells, node.whole.start, node.whole.end, WAITING)
        attempts = list(attempts)
        for attempt in attempts:
            self._paint(cells, attempt.start, attempt.end, RUNNING)
        for attempt in attempts:
            mark = {SUCCEEDED: None, None: None, "Stopped": STOPPED}.get(attempt.result, FAILING)
            if mark is not None and attempt.end is not None:
                cells[max(self._column(attempt.end) - 1, self._first(attempt.start))] = mark
        return "".join(cells)

    def _paint(self, cells: list[str], start: float, end: float | None, mark: str) -> None:
        first = self._first(start)
        last = self.columns if end is None else max(self._column(end), first + 1)
        cells[first:last] = mark * (last - first)

    def _first(self, start: float) -> int:
        return min(self._column(start), self.columns - 1)

    def _column(self, at: float) -> int:
        if self.seconds <= 0:
            return 0
        return min(round(at / self.seconds * self.columns), self.columns)


def _row_of(attempt: Attempt) -> str:
    place = attempt.place
    return place.node if place.role == "main" else f"undo {place.node}"


def _headline(history: History) -> str:
    state = history.run.state
    name = state.workflow.name
    if history.stuck is not None:
        return f"{name}: {FAILED} ({STUCK}) after {_decimal(history.elapsed)} s: {history.stuck}"
    why = "" if state.outcome == SUCCEEDED else f" ({state.reason})"
    message = f": {state.message}" if state.message else ""
    return f"{name}: {state.outcome}{why} after {_decimal(history.elapsed)} s{message}"


def _facts(node: NodeReport) -> str:
    whole = node.whole
    facts = [f"{whole.phase}({whole.reason})" if whole.reason else whole.phase]
    if whole.start is not None:
        start = _decimal(whole.start)
        facts.append(f"from {start} s" if whole.end is None else f"{start} - {_decimal(whole.end)} s")
    if node.items is not None:
        facts.append(f"{sum(item.phase == SUCCEEDED for item in node.items)}/{len(node.items)} items")
    if whole.attempts > (1 if node.items is None else len(node.items)):
        facts.append(f"{whole.attempts} attempts")
    return "  ".join(facts)


def _troubles(nodes: dict[str, NodeReport]) -> list[str]:
    wholes = [(name, node.whole) for name, node in nodes.items()]
    failed = [each for each in wholes if each[1].phase == FAILED or each[1].reason == Reason.CompensationFailed]
    lines = [f"{name}: {node.reason}: {node.message}" for name, node in failed[:MAX_TROUBLES]]
    more = len(failed) - len(lines)
    return [*lines, f"... and {more} more failed nodes"] if more > 0 else lines


def _outputs(history: History) -> Sequence[str]:
    outputs: dict[str, Any] = {} if history.stuck else history.run.state.outputs
    return [f"{name} = {orjson.dumps(value).decode()}" for name, value in outputs.items()]


def _decimal(seconds: float) -> str:
    """To the millisecond, without the zeros at the end; a year is long, but no power of ten."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _shortened(text: str, width: int) -> str:
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= width else f"{text[: max(width - 2, 0)]}.."
