"""The joins of design section 3: every mixture of edge values, against the words of the design."""

from itertools import product

import pytest
from weft.engine.join import RUN, UPSTREAM_FAILED, UPSTREAM_SKIPPED, WAIT, decide

VALUES = ("open", "met", "broken", "void")
MIXTURES = [set(mixture) for length in (1, 2, 3, 4) for mixture in product(VALUES, repeat=length)]


def verdict(values: set[str], *, join_any: bool) -> str:
    counts = {name: int(name in values) for name in ("open", "met", "broken")}
    return decide(join_any=join_any, total=len(values), **counts)


def test_a_node_without_edges_starts_at_once() -> None:
    assert decide(join_any=False, open=0, met=0, broken=0, total=0) == RUN
    assert decide(join_any=True, open=0, met=0, broken=0, total=0) == RUN


ALL = [
    ({"met"}, RUN),
    ({"met", "void"}, RUN),
    ({"void"}, UPSTREAM_SKIPPED),
    ({"broken"}, UPSTREAM_FAILED),
    ({"broken", "met"}, UPSTREAM_FAILED),
    ({"broken", "void"}, UPSTREAM_FAILED),
    ({"broken", "met", "void"}, UPSTREAM_FAILED),
    ({"open"}, WAIT),
    ({"open", "met"}, WAIT),
    ({"open", "void"}, WAIT),
    ({"open", "broken"}, WAIT),  # a broken edge is judged when none is open
    ({"open", "met", "void"}, WAIT),
    ({"open", "met", "broken"}, WAIT),
    ({"open", "void", "broken"}, WAIT),
    ({"open", "met", "broken", "void"}, WAIT),
]
ANY = [
    ({"met"}, RUN),
    ({"met", "void"}, RUN),
    ({"broken", "met"}, RUN),
    ({"open", "met"}, RUN),
    ({"open", "met", "broken"}, RUN),
    ({"open", "met", "void"}, RUN),
    ({"broken", "met", "void"}, RUN),
    ({"open", "met", "broken", "void"}, RUN),
    ({"void"}, UPSTREAM_SKIPPED),
    ({"broken"}, UPSTREAM_FAILED),
    ({"broken", "void"}, UPSTREAM_FAILED),
    ({"open"}, WAIT),
    ({"open", "void"}, WAIT),
    ({"open", "broken"}, WAIT),
    ({"open", "void", "broken"}, WAIT),
]


@pytest.mark.parametrize(("values", "want"), ALL)
def test_all(values: set[str], want: str) -> None:
    assert verdict(values, join_any=False) == want


@pytest.mark.parametrize(("values", "want"), ANY)
def test_any(values: set[str], want: str) -> None:
    assert verdict(values, join_any=True) == want


def test_the_tables_have_every_mixture() -> None:
    for table in (ALL, ANY):
        assert sorted(sorted(values) for values, _ in table) == sorted(map(sorted, {frozenset(m) for m in MIXTURES}))
