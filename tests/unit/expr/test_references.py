"""What an expression refers to: exact for fixed names, everything (None) for computed ones, never too little."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.expr.cel import compile_expression

NAMES = frozenset({"params", "nodes", "run", "item"})


@pytest.mark.parametrize(
    ("text", "roots", "nodes", "fields", "params"),
    [
        ("1 + 2", "", "", "", ""),
        ("'nodes.x' == 'params.y' // nodes.z", "", "", "", ""),
        ("params.limit", "params", "", "", "limit"),
        ("params['a-b'] + params.c.d", "params", "", "", "a-b c"),
        ("nodes.a.outputs.x", "nodes", "a", "a.outputs", ""),
        ('nodes["a-b"].phase', "nodes", "a-b", "a-b.phase", ""),
        ("nodes . a\n. outputs", "nodes", "a", "a.outputs", ""),
        ("nodes.`a-b`.phase", "nodes", "a-b", "a-b.phase", ""),
        ("nodes.?a.outputs.?x.orValue(1)", "nodes", "a", "a.outputs", ""),
        ("nodes[?'a'].hasValue()", "nodes", "a", "", ""),
        ("has(nodes.a.outputs.x)", "nodes", "a", "a.outputs", ""),
        ("nodes.a == nodes.b", "nodes", "a b", "", ""),
        ("nodes.a-item", "item nodes", "a", "", ""),
        ("nodes[params.which].phase", "nodes params", None, "", "which"),
        ("nodes.all(n, nodes[n].phase == 'Succeeded')", "nodes", None, "", ""),
        ("'a' in nodes", "nodes", None, "", ""),
        ("size(params)", "params", "", "", None),
        ("item.list.map(nodes, nodes.a.phase)", "item", "", "", ""),
        ("item.list.map(n, n.nodes.a + params.x)", "item params", "", "", "x"),
        ("nodes.a.outputs.l.filter(params, params.x > 1)", "nodes", "a", "a.outputs", ""),
        ("[nodes.a.phase, {'k': nodes.b.reason}]", "nodes", "a b", "a.phase b.reason", ""),
        ("run.outcome == 'Failed' ? params.x : item", "item params run", "", "", "x"),
        ("item.?x.optMap(v, v + nodes.a.outputs.n)", "item nodes", "a", "a.outputs", ""),
        ("item.sortBy(v, v + params.x)", "item params", "", "", "x"),
        (".params.x", "params", "", "", "x"),
    ],
)
def test_references(text: str, roots: str, nodes: str | None, fields: str, params: str | None) -> None:
    program = compile_expression(text, NAMES)
    assert program.roots == set(roots.split())
    assert program.nodes == (None if nodes is None else set(nodes.split()))
    assert program.node_fields == {tuple(pair.split(".")) for pair in fields.split()}
    assert program.params == (None if params is None else set(params.split()))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("run.outcome == run['name'] || run.?uid.hasValue() || has(run.failures)", "outcome name uid failures"),
        ("size(run) > 1 && run.name == ''", "name"),
        ("run[params.x]", ""),
        ("[{'x': 1}].map(run, run.x) == [run.attempt]", "attempt"),
        ("item.run.x", ""),
        ("run.failures[0].node", "failures"),
    ],
)
def test_what_is_read_of_the_run(text: str, fields: str) -> None:
    assert compile_expression(text, NAMES).run_fields == set(fields.split())


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("nodes.a.outputs.x + nodes['b'].outputs['y z'].deep[0]", "a.x b.y z"),
        ("params.p || nodes.a.outputs.x.map(v, v + nodes.b.outputs.n) == []", "a.x b.n"),
        ("nodes.a.outputs[params.p] + nodes.b.phase", ""),
        ("[{'outputs': {'x': 1}}].map(nodes, nodes.outputs.x) == [nodes.a.exitCode]", ""),
        ("nodes.a.outputs.?x.orValue(0) + nodes.?b.outputs.y.orValue(0)", ""),
        ("has(nodes.a.outputs.x) ? nodes.a.outputs.x : nodes.a.outputs.y", "a.y"),
        ("nodes.a.outputs[?'x'].hasValue() ? nodes.a.outputs.x : 0", ""),
        ("'x' in nodes.a.outputs ? nodes.a.outputs.x : nodes.b.outputs.x", "b.x"),
        ("size(nodes.a) > 1 && nodes.a.outputs.x", ""),
        ("nodes.exists(n, nodes[n].phase == 'Failed') && nodes.a.outputs.x", ""),
    ],
)
def test_which_outputs_an_expression_cannot_do_without(text: str, outputs: str) -> None:
    found = {f"{node}.{output}" for node, output in compile_expression(text, NAMES).outputs}
    assert found == set(re.findall(r"\w\.\w(?: z)?", outputs))


@pytest.mark.parametrize(
    ("text", "dashed"),
    [("nodes.a-item", {"a-item"}), ("nodes.a - item", set()), ("'nodes.a-item'", set()), ("params.a-item", set())],
)
def test_dashed_names_are_noticed(text: str, dashed: set[str]) -> None:
    assert compile_expression(text, NAMES).dashed == dashed


LEAVES = st.sampled_from(["params.x", "nodes.a.outputs.n", "nodes['b'].phase", "item", "run.uid", "'nodes.no'", "1"])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda form, a, b: form.format(a=a, b=b),
        st.sampled_from(
            [
                "(dyn({a}) == {b})",
                "[{a}, {b}]",
                "{{'k': {a}, 'l': {b}}}",
                "[{a}].map(v, {b})",
                "[{a}].all(item, dyn(item) == {b})",
            ]
        ),
        inner,
        inner,
    ),
    max_leaves=6,
)


@given(EXPRESSIONS)
def test_no_reference_is_missed(text: str) -> None:
    program = compile_expression(f"dyn({text})", NAMES)
    assert ("params" in program.roots) == ("params.x" in text)
    assert ("run" in program.roots) == ("run.uid" in text)
    expected = {name for name, mark in (("a", "nodes.a"), ("b", "nodes['b']")) if mark in text}
    assert program.nodes is not None
    assert set(program.nodes) == expected
