import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.specs import compiled, node, wrong


def order(workflow):
    return [workflow.main.nodes[position].name for position in workflow.main.by_rank]


SWITCH = {"cases": [{"name": "urgent", "when": "true"}], "default": "standard"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("scrap", "there is no node named 'scrap' here; did you mean \"scrape\"?"),
        ("last", "a node cannot wait for itself: last -> last"),
        ("scrape:Ready", "'scrape' is not a service, so it is never Ready; add service: true to it"),
        (
            "scrape:urgent",
            "'urgent' is no outcome of 'scrape', which is not a switch; it is one of Succeeded, Failed, Done",
        ),
        ("scrape:failed", 'is one of Succeeded, Failed, Done; did you mean "Failed"?'),
        ("server:redy", "it is one of Succeeded, Failed, Done, Ready; did you mean"),
        (
            "route:urgnt",
            "the switch 'route' has no case 'urgnt'; its cases are urgent, standard; did you mean \"urgent\"?",
        ),
    ],
)
def test_an_edge_that_leads_nowhere_names_what_there_is(entry, message):
    nodes = [node("scrape"), node("route", switch=SWITCH), node("server", service=True), node("last", entry)]
    [problem] = wrong(*nodes)
    assert problem.startswith("spec.nodes[3].dependsOn[0]: ")
    assert message in problem


@pytest.mark.parametrize(
    "entry", ["a", "a:Succeeded", "a:Failed", "a:Done", "r:urgent", "r:standard", "s:Ready", "s", "r:Done"]
)
def test_edges_that_mean_something_are_taken(entry):
    assert wrong(node("a"), node("r", switch=SWITCH), node("s", service=True), node("z", entry)) == []


def test_the_same_edge_twice_is_refused_and_another_outcome_is_not():
    assert wrong(node("a"), node("b", "a:Succeeded", "a:Failed")) == []
    [problem] = wrong(node("a"), node("b", "a", "a:Failed", "a:Succeeded"))
    assert problem == "spec.nodes[1].dependsOn[2]: 'a:Succeeded' says the same as dependsOn[0]; remove one"


def test_a_cycle_is_printed_in_the_order_of_work_from_its_first_node():
    problems = wrong(node("x"), node("a", "c"), node("b", "a"), node("c", "b", "x"))
    assert problems == ["spec.nodes[1].dependsOn: nodes wait for each other in a circle: a -> b -> c -> a; break it"]


def test_each_knot_of_cycles_is_reported_once_by_its_shortest():
    problems = wrong(
        node("a", "b", "d"), node("b", "a"), node("c", "b"), node("d", "c"), node("e", "f"), node("f", "e:Failed")
    )
    assert [re.search(r"circle: (.*); break", problem)[1] for problem in problems] == ["a -> b -> a", "e -> f -> e"]


def test_a_long_cycle_is_shortened_in_the_middle():
    names = [f"n{i}" for i in range(500)]
    [problem] = wrong(*(node(name, names[i - 1]) for i, name in enumerate(names)))
    assert "n0 -> n1 -> " in problem
    assert "(481 more)" in problem
    assert problem.endswith("n499 -> n0; break it")


def test_a_cycle_does_not_also_complain_about_references():
    problems = wrong(node("a", "b", when="nodes.b.phase == 'x'"), node("b", "a"))
    assert len(problems) == 1


def test_ranks_are_topological_and_then_as_written():
    workflow = compiled(node("z", "m"), node("b"), node("a"), node("m", "a"))
    assert order(workflow) == ["b", "a", "m", "z"]
    assert [n.rank for n in workflow.main.nodes] == [3, 0, 1, 2]


def test_edges_stand_on_both_ends():
    workflow = compiled(node("a"), node("b", "a:Failed"))
    a, b = workflow.main.nodes
    assert [(edge.source, edge.target, edge.outcome) for edge in a.outgoing] == [(0, 1, "Failed")]
    assert b.incoming == a.outgoing
    assert workflow.main.ancestors(1) == {0}


def test_finally_nodes_wait_for_one_another_only():
    problems = wrong(node("a"), finally_=[node("f"), node("g", "f", "a")])
    assert problems == [
        "spec.finally[1].dependsOn[1]: 'a' is a node of the main graph, and all of these have ended when finally"
        " begins; remove it (its result is at hand: nodes.a.phase)"
    ]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("x", "s:Ready", "s")],
        [node("y", "s"), node("x", "s:Ready", "y")],
        [node("y", "s:Done"), node("z", "y"), node("x", "s:Ready", "z")],
    ],
)
def test_a_node_that_would_wait_for_its_own_service_to_end_is_refused(nodes):
    [problem] = wrong(node("s", service=True), *nodes)
    assert "waits for the end of the service 's', which ends only after it" in problem


def test_a_node_that_can_start_without_the_services_end_is_taken():
    assert wrong(node("s", service=True), node("y", "s"), node("x", "s:Ready", "y", join="Any")) == []
    assert wrong(node("s", service=True), node("x", "s:Ready"), node("y", "s", "x")) == []


@st.composite
def graphs(draw, *, acyclic):
    size = draw(st.integers(2, 12))
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] != pair[1])
    edges = draw(st.sets(pairs, max_size=30))
    if acyclic:
        shuffled = draw(st.permutations(range(size)))
        edges = {(shuffled[min(pair)], shuffled[max(pair)]) for pair in edges}
    nodes = [node(f"n{i}", *(f"n{source}" for source, target in sorted(edges) if target == i)) for i in range(size)]
    return nodes, edges


@given(graphs(acyclic=True))
def test_every_acyclic_graph_compiles_and_nothing_comes_before_what_it_waits_for(graph):
    nodes, edges = graph
    workflow = compiled(*nodes)
    ranks = [one.rank for one in workflow.main.nodes]
    assert sorted(ranks) == list(range(len(nodes)))
    assert all(ranks[source] < ranks[target] for source, target in edges)
    for index in range(len(nodes)):
        names = {workflow.main.nodes[position].name for position in workflow.main.ancestors(index)}
        others = {f"n{other}": f"nodes.n{other}.exitCode" for other in range(len(nodes)) if other != index}
        asks = node(f"n{index}", *nodes[index].get("dependsOn", ()), expr=others)
        problems = wrong(*nodes[:index], asks, *nodes[index + 1 :])
        refused = {re.search(r"nodes\.(n\d+) is not an ancestor", problem)[1] for problem in problems}
        assert refused == others.keys() - names


@given(graphs(acyclic=False))
def test_a_cycle_that_is_named_is_one_and_without_one_the_graph_compiles(graph):
    nodes, edges = graph
    problems = wrong(*nodes)
    circles = [re.search(r"circle: (.*); break", problem)[1].split(" -> ") for problem in problems]
    for circle in circles:
        assert circle[0] == circle[-1]
        assert len(set(circle)) == len(circle) - 1
        assert all((int(a[1:]), int(b[1:])) in edges for a, b in itertools.pairwise(circle))
    if not problems:
        assert sorted(order(compiled(*nodes))) == sorted(one["name"] for one in nodes)
