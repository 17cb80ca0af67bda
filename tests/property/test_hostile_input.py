"""Whatever is written, a reader gives its answer or its own error: never a crash, never another exception.

A right manifest is taken, and at random places of it something else is put: values of every JSON type, texts that mean
something to YAML, to CEL, to templates, to terminals. What is no manifest at all is tried as well, byte by byte.
"""

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from weft.admission.judge import Found, judge, names_in
from weft.admission.review import MalformedReview, read_review
from weft.api.problems import Problem
from weft.cli.manifests import UnreadableManifest, line, read_manifests
from weft.engine.outputs import OutputsError, parse_outputs
from weft.expr.cel import ExpressionError
from weft.expr.template import compile_template
from weft.graph.scoping import Scope
from weft.graph.types import check_with_types, used_types
from weft.graph.validate import validate

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS: list[dict[str, Any]] = [
    document
    for file in sorted(EXAMPLES.rglob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
    if isinstance(document, dict) and str(document.get("apiVersion")).startswith("weft.dev/")
]

HOSTILE_TEXTS = [
    "", " ", "${{", "${{ }}", "${{ }} }}", "$${{", "${{ '", "${{ params", "$(WEFT_NODE)", "$$(X)", "a -> b", "\x00",
    "\x1b[2J", "\u202e", "\ud800", "\ufeff", "é" * 300, "a" * 40_000, "(" * 2_000, "[" * 2_000, "!" * 2_000,
    "a." * 2_000, "-9223372036854775808", "1 / 0", "nodes.a.outputs", "nodes['", "item", "10:10", "1e999", "NaN",
    "on", "../../etc", "a/b/c", "main", "$patch", "(?<!a)b", "(a*)*",
]  # fmt: skip
texts = st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=40)
numbers = st.integers() | st.floats() | st.sampled_from([2**31, 2**53, -(2**63), 2**64, 10**40, 1e308, -0.0])
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8
)


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """A manifest of the examples in which one to three places hold something else, or more than they should."""
    manifest = copy.deepcopy(draw(st.sampled_from(MANIFESTS)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(manifest))
        holder, key = draw(st.sampled_from(places))
        match draw(st.integers(0, 4)):
            case 0:
                holder[key] = draw(values)
            case 1 if isinstance(holder, list):
                holder.insert(key, draw(values))
            case 2:
                holder[key] = copy.deepcopy(draw(st.sampled_from(places))[0])  # another part of itself
            case 3 if isinstance(holder, dict):
                holder[draw(texts)] = draw(values)
            case _:
                holder[key] = draw(texts)
    return manifest


def _places(value: Any) -> Any:
    """Every (holder, key) of a manifest's insides, but for its kind."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(inside):
        if key in ("apiVersion", "kind"):
            continue
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def told(problems: list[Problem]) -> None:
    for problem in problems:
        assert isinstance(problem, Problem)
        assert problem.message
        shown = line("file", problem.path, problem.message)
        assert shown.replace("\n", "?").isprintable()


def test_there_are_examples_of_every_kind() -> None:
    assert {"Workflow", "WorkflowRun", "NodeType", "NotificationChannel"} <= {one["kind"] for one in MANIFESTS}


@given(manifest=spoiled())
def test_a_spoiled_manifest_is_judged_and_nothing_crashes(manifest: dict[str, Any]) -> None:
    told(validate(manifest))
    spec = manifest.get("spec")
    if isinstance(spec, dict):
        types = {name: {"job": {"image": "i"}, "parameters": [{"name": "n"}]} for name in used_types(spec)}
        told(check_with_types(manifest, types))
    names = names_in(manifest, "n")
    told(list(judge(manifest, names, Found()).problems))
    told(list(judge(manifest, names, Found(workflow=spec if isinstance(spec, dict) else {})).problems))


@given(text=st.lists(texts, max_size=6).map("".join) | st.text(max_size=200))
def test_a_template_compiles_or_says_why_not(text: str) -> None:
    with suppress(ExpressionError):
        compile_template(text, ["params", "nodes", "run"])


@given(value=values)
def test_a_structure_of_anything_compiles_or_says_why_not(value: Any) -> None:
    problems: list[Problem] = []
    Scope(problems, frozenset({"params"}), ()).structure(value, "spec")
    told(problems)


@given(text=st.lists(texts | st.sampled_from(["=", "\n", "{", "}", '"', ":", ","]), max_size=20).map("".join))
def test_outputs_are_an_object_or_refused(text: str) -> None:
    with suppress(OutputsError):
        found = parse_outputs(text)
        assert found is None or json.loads(json.dumps(found)) == found


WORDS = [
    "a: ", "- ", "&a ", "*a", "[", "]", "{", "}", "\n", "  ", "? ", ": ", "!!python/object:os.system ", "!!binary x",
    "|", ">", '"\\u202e"', '"\\x1b"', "<<: ", "---\n", "...", "%YAML 9\n", "0o7", "1_0", "!!set", "!!omap", "\t", "#",
    "'", "kind: List\nitems:\n",
]  # fmt: skip
streams = st.binary(max_size=200) | st.lists(st.sampled_from(WORDS), max_size=30).map("".join).map(str.encode)


@given(data=streams)
def test_bytes_are_manifests_or_unreadable(data: bytes) -> None:
    with suppress(UnreadableManifest):
        for manifest in read_manifests(data):
            told(validate(manifest.content))


@given(data=st.binary(max_size=100) | values.map(lambda value: json.dumps(value).encode()))
def test_bytes_are_a_review_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedReview):
        read_review(data)
