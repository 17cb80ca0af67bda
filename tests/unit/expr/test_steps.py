"""What an expression is charged: steps in proportion to its work, half a million of which take about half a second.

A step is about a microsecond. The counts below were measured against that: at least so many that a loop of such calls
ends in time, at most so many that honest work on large values goes through.
"""

import tracemalloc
from typing import Any

import pytest
from weft.expr import cel
from weft.expr.cel import STEPS, ExpressionError, compile_expression
from weft.expr.frame import Budget

TEXT = "a" * 250_000
WORDS = [str(number) for number in range(100_000)]
VARIABLES: dict[str, Any] = {
    "text": TEXT,
    "other": TEXT[:-1] + "b",
    "line": "a" * 29_000,
    "part": "a" * 97 + "ba",
    "pages": [TEXT, TEXT],
    "words": WORDS,
    "few": WORDS[:1000],
    "numbers": list(range(100_000)),
    "doubles": [float(number) for number in range(1000)],
    "empties": [[]] * 1000,
    "maps": [{"a": number} for number in range(1000)],
    "table": dict.fromkeys(WORDS[:1000], 1),
}


@pytest.fixture
def budgets(monkeypatch: pytest.MonkeyPatch) -> list[Budget]:
    """The budgets handed out, one for each evaluation."""
    found: list[Budget] = []

    class Seen(Budget):
        def __init__(self, left: int) -> None:
            super().__init__(left)
            found.append(self)

    monkeypatch.setattr(cel, "Budget", Seen)
    return found


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        pytest.param("text.contains('ab')", 3000, 10_000, id="a short text in a long one"),
        pytest.param("text.contains(other)", 3000, 10_000, id="a long text in a long one"),
        pytest.param("few[0].contains('0')", 0, 2, id="a short text in a short one"),
        pytest.param("line.contains(part)", 1500, 3000, id="a text that takes long to tell from all parts of another"),
        pytest.param("text.startsWith(other)", 500, 2000, id="startsWith"),
        pytest.param("text.endsWith(other)", 500, 2000, id="endsWith"),
        pytest.param("text.startsWith('b')", 0, 10, id="startsWith looks at no more than it must"),
        pytest.param("text == other", 500, 2000, id="texts that are equal for long"),
        pytest.param("text != other", 500, 2000, id="texts that differ late"),
        pytest.param("text == 'a'", 0, 2, id="texts of different lengths"),
        pytest.param("text < other", 500, 2000, id="the order of texts"),
        pytest.param("bytes(text) < bytes(other)", 250_500, 260_000, id="the order of bytes"),
        pytest.param("other in pages", 1000, 4000, id="a text in a list of texts"),
        pytest.param("[pages] == [pages]", 1000, 4000, id="texts within lists"),
        pytest.param("empties == empties", 2000, 3000, id="empty lists"),
        pytest.param("maps == maps", 3000, 4000, id="maps"),
        pytest.param("math.greatest(numbers)", 100_000, 200_000, id="the greatest"),
        pytest.param("math.least(numbers)", 100_000, 200_000, id="the least"),
        pytest.param("numbers.reverse()[0]", 150_000, 300_000, id="numbers given to the library"),
        pytest.param("words.sort()[0]", 300_000, 600_000, id="texts given to the library"),
        pytest.param("'%s'.format([table])", 3000, 7000, id="a map given to the library"),
        pytest.param("numbers.slice(500, 600).size()", 100, 200, id="a slice"),
        pytest.param("sets.contains(doubles, doubles)", 50_000, 100_000, id="a set of doubles"),
        pytest.param("few.sortBy(word, word)[0]", 10_000, 20_000, id="sorted by short texts"),
        pytest.param("pages.sortBy(page, page).size()", 2000, 5000, id="sorted by long texts"),
        pytest.param("'x'.matches('a{1000}')", 5000, 50_000, id="a repeated pattern"),
        pytest.param("'x'.matches('^[a-z]+-[0-9]+$')", 50, 200, id="a plain pattern"),
        pytest.param(r"'x'.matches('\\pL')", 2000, 5000, id="a pattern of a whole alphabet"),
        pytest.param(r"'x'.matches('\\pL{100}')", 200_000, 500_000, id="a pattern of a hundred alphabets"),
        pytest.param("text.replace('a', 'b').size()", 100_000, 200_000, id="replaced"),
        pytest.param("text.split('').size()", 100_000, 200_000, id="split"),
        pytest.param("words.join(',').size()", 200_000, 700_000, id="joined"),
        pytest.param("size(table) + size(numbers) + size(text)", 0, 5, id="sizes"),
        pytest.param("table['7'] + numbers[7]", 0, 5, id="an index and a key"),
        pytest.param("'x' in table", 0, 5, id="a key in a map"),
    ],
)
def test_a_call_is_charged_for_its_work(budgets: list[Budget], text: str, least: int, most: int) -> None:
    compile_expression(text, VARIABLES.keys()).evaluate(VARIABLES)
    assert least <= STEPS - budgets[0].left <= most


@pytest.mark.parametrize(
    "text",
    [
        "lists.range(150000).all(i, !text.contains('ab'))",
        "lists.range(2000).all(i, text != other)",
        "lists.range(100).all(i, math.least(numbers) == 0)",
        r"lists.range(9).all(i, !'x'.matches('\\pL{100}'))",
    ],
)
def test_a_loop_of_long_work_is_too_much(text: str) -> None:
    with pytest.raises(ExpressionError, match="too much work"):
        compile_expression(text, VARIABLES.keys()).evaluate(VARIABLES)


def test_a_long_key_that_is_not_there_is_named_by_its_beginning() -> None:
    for text, message in (("table[text]", "no such key: a{60}…"), ("dyn(1)[text]", "1 (int) has no key a{60}…")):
        with pytest.raises(ExpressionError) as caught:
            compile_expression(text, VARIABLES.keys()).evaluate(VARIABLES)
        assert caught.value.detail == message.replace("a{60}", "a" * 60)


def test_a_loop_of_faults_keeps_no_more_than_the_first() -> None:
    program = compile_expression("numbers.exists(n, table['no'] == n) || true", VARIABLES.keys())
    few = VARIABLES | {"numbers": list(range(10_000))}
    tracemalloc.start()
    try:
        assert program.evaluate(few) is True
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
