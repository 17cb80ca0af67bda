import json

from support.specs import node
from weft.api.problems import parse
from weft.api.workflow import WorkflowSpec
from weft.graph.dot import to_dot
from weft.graph.draw import MAX_DRAWN, draw, to_json
from weft.graph.mermaid import to_mermaid

SWITCH = {"cases": [{"name": "urgent", "when": "true"}]}


def drawing(*nodes, **spec):
    model, problems = parse(
        WorkflowSpec, {"nodes": list(nodes), **{key.rstrip("_"): value for key, value in spec.items()}}
    )
    assert model is not None, problems
    return draw(model)


PICTURE = (
    node("end"),
    node("route", "end", switch=SWITCH),
    node("fix-it", "end:Failed"),
    node("call", "route:urgent", graph={"name": "g"}),
)
GRAPHS = [{"name": "g", "nodes": [node("a"), node("b", "a")]}]


def test_mermaid():
    assert to_mermaid(drawing(*PICTURE, graphs=GRAPHS, finally_=[node("f")])).splitlines() == [
        "flowchart TD",
        '  n_end["end<br/>job"]',
        '  n_route{"route<br/>switch"}',
        '  n_fix_it["fix-it<br/>job"]',
        '  subgraph n_call["call<br/>graph, g"]',
        '    n_call_IN_a["a<br/>job"]',
        '    n_call_IN_b["b<br/>job"]',
        "  end",
        "  subgraph finally_[finally]",
        '    n_f["f<br/>job"]',
        "  end",
        "  n_end --> n_route",
        "  n_end -.->|Failed| n_fix_it",
        "  n_route -->|urgent| n_call",
        "  n_call_IN_a --> n_call_IN_b",
    ]


def test_dot():
    text = to_dot(drawing(*PICTURE, graphs=GRAPHS, finally_=[node("f")]))
    assert '"end" [shape=box, label="end\\njob"];' in text
    assert '  subgraph "cluster call" {\n' in text
    assert '"end" -> "fix-it" [label="Failed", style=dashed];' in text
    assert '"call/a" -> "call/b";' in text
    assert text.count("{") == text.count("}")


def test_json():
    picture = json.loads(to_json(drawing(*PICTURE, graphs=GRAPHS)))
    assert picture["nodes"][-1] == {
        "path": "call/b", "name": "b", "parent": "call", "kind": "job", "remarks": [], "stage": "main"
    }  # fmt: skip
    assert {"source": "end", "target": "fix-it", "outcome": "Failed"} in picture["edges"]


def test_modifiers_are_remarked():
    [drawn] = drawing(
        node("a", forEach={"range": 2}, join="Any", allowFailure=True, compensate={"job": {"image": "i"}})
    ).nodes
    assert drawn.remarks == ("for each", "any", "may fail", "undone by job")


def test_ids_in_mermaid_never_meet():
    names = ["a-b", "a--b", "ab"]
    graphs = [{"name": "g", "nodes": [node("b")]}]
    text = to_mermaid(drawing(*map(node, names), node("a", graph={"name": "g"}), graphs=graphs))
    ids = [line.split("[")[0].replace("subgraph ", "").strip() for line in text.splitlines() if "[" in line]
    assert len(ids) == len(set(ids)) == 5


def test_graphs_that_run_each_other_in_a_circle_can_be_looked_at():
    graphs = [
        {"name": "a", "nodes": [node("x", graph={"name": "b"})]},
        {"name": "b", "nodes": [node("y", graph={"name": "a"})]},
    ]
    assert [one.path for one in drawing(node("s", graph={"name": "a"}), graphs=graphs).nodes] == ["s", "s/x", "s/x/y"]


def test_graphs_that_fan_out_are_drawn_up_to_a_limit():
    graphs = [
        {"name": f"g{i}", "nodes": [node(f"n{j}", graph={"name": f"g{i + 1}"}) for j in range(10)]} for i in range(7)
    ]
    graphs.append({"name": "g7", "nodes": [node("n")]})
    picture = drawing(node("s", graph={"name": "g0"}), graphs=graphs)
    assert 1_000 < len(picture.nodes) <= MAX_DRAWN + 100
    assert to_mermaid(picture).count("subgraph ") == sum(one.is_open for one in picture.nodes)
