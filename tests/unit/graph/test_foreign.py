"""Templates of other systems are told of, and nothing else is."""

from typing import Any

import pytest
from weft.graph.foreign import SHOWN, foreign_templates


def noted(**job: Any) -> list[str]:
    return [str(note) for note in foreign_templates({"spec": {"nodes": [{"name": "a", "job": job}]}})]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ params.x }}", "{{ params.x }}"),
        ("a {{inputs.parameters.y}} b", "{{inputs.parameters.y}}"),
        ("{{item}}", "{{item}}"),
        ("{{=workflow.name}}", None),
        ("{{ nodes.b.outputs.x }}", "{{ nodes.b.outputs.x }}"),
        ("$(tasks.a.results.b)", "$(tasks.a.results.b)"),
        ("$(params.x)", "$(params.x)"),
        ("${{ params.x }}", None),
        ("$${{ params.x }}", None),
        ("$(cat params.x)", None),
        ("$(PARAMS)", None),
        ("{{ .metadata.name }}", None),
        ("{{ items }}", None),
    ],
)
def test_what_looks_like_a_template_elsewhere_is_plain_text_here(text: str, found: str | None) -> None:
    said = f"spec.nodes[0].job.args[0]: {found} is plain text here; templates are written ${{{{ ... }}}}"
    assert noted(args=[text]) == ([] if found is None else [said])


def test_of_many_the_first_are_told_and_prose_is_left_alone() -> None:
    assert len(noted(args=["{{item}}"] * 20)) == SHOWN
    assert foreign_templates({"spec": {"description": "for each {{item}}"}}) == []
    assert foreign_templates({}) == []
