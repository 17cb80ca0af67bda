"""The validator's questions about references, and the messages it prints."""

import pytest
from weft.expr.cel import compile_expression
from weft.expr.scope import BASE_NAMES, check_references, loop_names
from weft.expr.template import Structure, Template, compile_template

ALL = ["scrape", "price", "report", "a-b", "a"]
NAMES = BASE_NAMES | {"b", "item"}


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("nodes.price.outputs.x + params.limit", []),
        ("nodes.exists(n, nodes[n].phase == 'Failed')", []),
        ("nodes['a-b'].exitCode", []),
        ("run.outcome", []),
        ("nodes.pric.outputs.x", ['nodes.pric.outputs: there is no node named "pric"; did you mean "price"?']),
        ("nodes.zebra", ['nodes.zebra: there is no node named "zebra"']),
        ("nodes['x-y'].phase", ['nodes["x-y"].phase: there is no node named "x-y"']),
        (
            "nodes.report.phase",
            ["nodes.report is not an ancestor of this node; add it to dependsOn (directly or through another node)"],
        ),
        (
            "nodes.price.output.x",
            [
                'nodes.price.output: a node has no "output"; did you mean "outputs"? '
                "(it has exitCode, outputs, phase, reason)"
            ],
        ),
        ("params.limits", ['params.limits: there is no parameter named "limits"; did you mean "limit"?']),
        ("nodes.a-b.phase == 1", ['write nodes["a-b"]: a dash in a name reads as a subtraction']),
        (
            "params.q + nodes.zebra.phase + nodes.zebra.phase",
            ['nodes.zebra.phase: there is no node named "zebra"', 'params.q: there is no parameter named "q"'],
        ),
    ],
)
def test_messages(text: str, messages: list[str]) -> None:
    program = compile_expression(text, NAMES)
    assert check_references(program, ancestors=["scrape", "price", "a-b"], all_nodes=ALL, params=["limit"]) == messages


def test_templates_structures_and_plain_text() -> None:
    template = compile_template("${{ params.q }}-${{ params.q }}", BASE_NAMES)
    assert isinstance(template, Template)
    structure = Structure({"a": [template]}, template.programs)
    expected = ['params.q: there is no parameter named "q"']
    assert check_references(template, ancestors=[], all_nodes=[], params=[]) == expected
    assert check_references(structure, ancestors=[], all_nodes=[], params=[]) == expected
    assert check_references("plain", ancestors=[], all_nodes=[], params=[]) == []


@pytest.mark.parametrize(("alias", "names"), [(None, {"item", "index"}), ("batch", {"batch", "index"})])
def test_loop_names(alias: str | None, names: set[str]) -> None:
    assert loop_names(alias) == names
