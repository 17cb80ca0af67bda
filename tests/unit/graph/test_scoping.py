"""Structures of templates: which are compiled, what they give, and where what is wrong with them is told."""

from typing import Any

import pytest
from support.specs import node, wrong
from weft.api.problems import Problem
from weft.expr.template import Structure
from weft.graph import scoping
from weft.graph.scoping import Scope

VARIABLES: dict[str, Any] = {"params": {"n": 3, "s": "x y"}}


def compiled(value: Any) -> tuple[Structure, list[Problem]]:
    problems: list[Problem] = []
    return Scope(problems, frozenset({"params"}), VARIABLES["params"]).structure(value, "spec"), problems


def test_every_text_is_rendered_and_the_rest_is_kept() -> None:
    source = {
        "spec": {"replicas": "${{ params.n }}", "args": ["-n", "${{ params.n }}", "x${{ params.s }}"]},
        "k": 1,
        "e": "$${{",
    }
    structure, problems = compiled(source)
    assert structure.render(VARIABLES) == {"spec": {"replicas": 3, "args": ["-n", 3, "xx y"]}, "k": 1, "e": "${{"}
    assert len(structure.programs) == 3
    assert problems == []


@pytest.mark.parametrize("value", ["text", 1, None, {"a": ["b", {"c": True}]}])
def test_without_templates_it_is_the_value_itself(value: Any) -> None:
    structure, problems = compiled(value)
    assert structure.programs == ()
    assert structure.render({}) == value
    assert problems == []


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"manifest": {"spec": {"replicas": "${{ zebra }}"}}}, "spec.manifest.spec.replicas"),
        ({"args": ["a", "${{ zebra }}"]}, "spec.args[1]"),
        ("${{ zebra }}", "spec"),
        ({"a/b": "${{ params.q }}"}, 'spec["a/b"]'),
    ],
)
def test_what_is_wrong_is_told_with_its_path(value: Any, path: str) -> None:
    _, problems = compiled(value)
    assert [problem.path for problem in problems] == [path]


def test_a_key_cannot_be_a_template() -> None:
    _, (problem,) = compiled({"labels": {"${{ params.s }}": 1}})
    assert problem.path == "spec.labels"
    assert "the key ${{ params.s }} cannot be a template" in problem.message


def test_the_expressions_of_one_workflow_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoping, "MAX_WRITTEN", 100)
    whens = [f"{number:010} == {number}" for number in range(10)]
    nodes = [node(f"n{number}", when=when) for number, when in enumerate(whens)]
    assert sum(map(len, whens[:6])) == 90
    assert wrong(*nodes[:6]) == []
    assert wrong(*nodes[:4], finally_=nodes[4:6], graphs=[{"name": "g", "nodes": nodes[6:7]}])[0].startswith(
        "spec.finally[1].when: all expressions together have at most 100 characters, this is beyond;"
    )
    problem, rest = wrong(*nodes)
    assert problem.startswith("spec.nodes[6].when: all expressions together have at most 100 characters")
    assert rest == "spec: and there is more; mend these first"


def test_what_the_defaults_bring_into_many_nodes_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoping, "MAX_WRITTEN", 50)
    env = [{"name": "A", "value": "${{ run.name + 'a text of its own' }}"}]
    assert wrong(*(node(f"n{number}") for number in range(10)), defaults={"env": env}) == []
