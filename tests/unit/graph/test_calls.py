from support.specs import compiled, node, wrong


def chain(length):
    """g1 runs g2 runs g3 ..."""
    graphs = [{"name": f"g{i}", "nodes": [node("n", graph={"name": f"g{i + 1}"})]} for i in range(1, length)]
    return [*graphs, {"name": f"g{length}", "nodes": [node("n")]}]


def test_calls_may_be_eight_deep_and_no_deeper():
    start = node("start", graph={"name": "g1"})
    assert wrong(start, graphs=chain(8)) == []
    problems = wrong(start, graphs=chain(9))
    assert problems == [
        "spec.graphs[0].nodes[0].graph.name: calls between graphs are at most 8 deep:"
        " g1 -> g2 -> g3 -> g4 -> g5 -> g6 -> g7 -> g8 -> g9"
    ]


def test_a_circle_of_calls_is_printed():
    graphs = [
        {"name": "a", "nodes": [node("n", graph={"name": "b"})]},
        {"name": "b", "nodes": [node("m"), node("n", compensate={"graph": {"name": "a"}})]},
    ]
    problems = wrong(node("start", graph={"name": "a"}), graphs=graphs)
    assert problems == [
        "spec.graphs[1].nodes[1].compensate.graph.name: graphs run each other in a circle: a -> b -> a; break it"
    ]


def test_a_graph_that_runs_itself_is_a_circle():
    [problem] = wrong(node("s"), graphs=[{"name": "a", "nodes": [node("n", graph={"name": "a"})]}])
    assert "circle: a -> a" in problem


def test_a_problem_of_a_graph_that_another_one_runs_is_told_once():
    graphs = [
        {"name": "x", "nodes": [node("n", graph={"name": "a"})]},
        {"name": "a", "nodes": [node("n", graph={"name": "a"})]},
    ]
    [problem] = wrong(node("s"), graphs=graphs)
    assert "circle: a -> a" in problem
    [problem] = wrong(node("s"), graphs=[{"name": "x", "nodes": [node("n", graph={"name": "g1"})]}, *chain(9)])
    assert "at most 8 deep" in problem


def test_an_unknown_graph_names_those_there_are():
    start = node("start", graph={"name": "publsh"})
    assert wrong(start, graphs=[{"name": "publish", "nodes": [node("n")]}]) == [
        "spec.nodes[0].graph.name: there is no graph named 'publsh'; did you mean \"publish\"?"
    ]
    assert wrong(start) == ["spec.nodes[0].graph.name: there is no graph named 'publsh'; spec.graphs is empty"]


def test_a_graph_that_nobody_runs_is_checked_all_the_same():
    assert wrong(node("s"), graphs=[{"name": "a", "nodes": [node("n", "m")]}]) == [
        "spec.graphs[0].nodes[0].dependsOn[0]: there is no node named 'm' here"
    ]


def test_a_graph_is_compiled_once_and_shared_whatever_the_order_it_is_written_in():
    workflow = compiled(
        node("x", graph={"name": "outer"}),
        node("y", graph={"name": "inner"}),
        graphs=[
            {"name": "outer", "nodes": [node("n", graph={"name": "inner"})]},
            {"name": "inner", "nodes": [node("n")]},
        ],
    )
    x, y = workflow.main.nodes
    assert x.body.graph.nodes[0].body.graph is y.body.graph


def test_parameters_of_a_call_are_held_against_the_declaration_as_far_as_they_are_known():
    graphs = [
        {
            "name": "g",
            "parameters": [{"name": "n", "type": "integer", "maximum": 5}, {"name": "s", "default": "x"}],
            "nodes": [node("n")],
        }
    ]

    def call(**parameters):
        return wrong(
            node("c", graph={"name": "g", "parameters": parameters}), graphs=graphs, parameters=[{"name": "p"}]
        )

    assert call(n=3) == []
    assert call(n="${{ params.p }}") == []
    assert "parameter 'n' is required" in call()[0]
    assert "parameter 'n' must be at most 5" in call(n=9)[0]
    assert "parameter 'z' is not declared" in call(n=1, z="${{ params.p }}")[0]
