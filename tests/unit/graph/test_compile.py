import pytest
from support.specs import compiled, node, wrong
from weft.api.depth import DEEPEST
from weft.graph.compiled import Backoff, ForEach, RetryPolicy


def only(**fields):
    """The one compiled node of a workflow; `spec` has what is said beside the nodes."""
    return compiled(node("n", **fields.pop("fields", {})), **fields).main.nodes[0]


def test_a_bare_node_gets_what_the_design_promises():
    n = only()
    assert n.retry == RetryPolicy(limit=0)
    assert (n.timeout, n.deadline, n.pending_timeout) == (None, None, 600)
    assert (n.join_any, n.allow_failure, n.service, n.when, n.for_each, n.loop) == (
        False,
        False,
        False,
        None,
        None,
        None,
    )


def test_an_empty_retry_means_three():
    assert only(fields={"retry": {}}).retry == RetryPolicy(limit=3, backoff=Backoff(2.0, 2.0, 60.0, 0.2), disruptions=5)


def test_defaults_are_inherited_by_jobs_and_their_compensations_and_by_nothing_else():
    workflow = compiled(
        node("job", compensate={"job": {}}),
        node("call", http={"url": "https://a.example"}),
        node("typed", use={"name": "t"}),
        types={"t": {"job": {"image": "own"}}},
        defaults={"image": "base", "retry": {"limit": 7}, "timeoutSeconds": 60, "pendingTimeoutSeconds": 30},
    )
    job, call, typed = workflow.main.nodes
    for one in (job, job.compensate, typed):
        assert (one.retry.limit, one.timeout, one.pending_timeout) == (7, 60, 30)
    assert job.body.job.spec["image"] == "busybox:1"
    assert job.compensate.body.job.spec["image"] == "base"
    assert typed.body.job.spec["image"] == "own"
    assert (call.retry.limit, call.timeout, call.pending_timeout) == (0, None, None)


def test_what_the_node_says_beats_the_defaults():
    n = only(
        fields={"retry": {"limit": 0}, "timeoutSeconds": 5, "pendingTimeoutSeconds": 6},
        defaults={"retry": {"limit": 7}, "timeoutSeconds": 60, "pendingTimeoutSeconds": 30},
    )
    assert (n.retry.limit, n.timeout, n.pending_timeout) == (0, 5, 6)


def test_a_service_has_no_attempt_timeout():
    assert only(fields={"service": True, "timeoutSeconds": 9}, defaults={"timeoutSeconds": 60}).timeout is None


def test_the_limits_of_the_run_and_of_its_graphs():
    workflow = compiled(
        node("n", graph={"name": "g"}),
        graphs=[{"name": "g", "nodes": [node("m")]}, {"name": "h", "failurePolicy": "Drain", "nodes": [node("m")]}],
        finally_=[node("f")],
        failurePolicy="Cancel",
        timeoutSeconds=10,
        parallelism=4,
    )
    assert (workflow.timeout, workflow.final_timeout, workflow.parallelism) == (10, 600, 4)
    assert workflow.main.failure_policy == "Cancel"
    assert workflow.main.nodes[0].body.graph.failure_policy == "Cancel"
    assert workflow.final.failure_policy == "Continue"
    assert compiled(node("n")).final is None


@pytest.mark.parametrize(
    ("written", "items", "count"),
    [
        ({"items": "params.p"}, "params.p", None),
        ({"items": "${{ params.p }}"}, "params.p", None),
        ({"items": [1, {"a": 2}]}, [1, {"a": 2}], None),
        ({"items": {"range": 3}}, None, 3),
        ({"range": 3}, None, 3),
        ({"range": "params.n * 2"}, None, "params.n * 2"),
        ({"items": ["$${{ literal }}"]}, ["${{ literal }}"], None),
    ],
)
def test_the_items_of_a_loop(written, items, count):
    loop = only(fields={"forEach": written}, parameters=[{"name": "p"}, {"name": "n"}]).for_each
    assert getattr(loop.items, "text", loop.items) == items
    assert getattr(loop.range, "text", loop.range) == count


def test_the_modifiers_of_a_loop():
    loop = only(fields={"forEach": {"range": 9, "as": "x", "batchSize": 2, "maxParallel": 3, "maxFailed": 4}}).for_each
    assert loop == ForEach(items=None, range=9, name="x", batch_size=2, max_parallel=3, max_failed=4)


LOOP = {"items": [1], "as": "x"}


@pytest.mark.parametrize(
    "fields",
    [
        {"job": {"image": "i:${{ x }}", "args": ["${{ index }}"], "env": [{"name": "A", "expr": "x"}]}},
        {"retry": {"when": "x == 1 && exitCode == 2 && attempt < 3 && outputs.a == reason + message"}},
        {"concurrency": {"key": "k-${{ x }}"}},
        {"cache": {"key": "x"}},
        {"compensate": {"job": {"image": "${{ x }}"}, "retry": {"when": "x == 1"}}},
        {"expr": {"y": "x + index"}},
        {"http": {"url": "https://a.example/${{ x }}", "successWhen": "status == x && body.ok"}},
        {"resource": {"manifest": {"apiVersion": "v1", "kind": "${{ x }}"}, "successWhen": "object.a == x"}},
        {"workflow": {"name": "w", "parameters": {"a": "${{ x }}"}}},
    ],
)
def test_the_item_is_known_in_all_that_belongs_to_one_item(fields):
    assert wrong(node("n", forEach=LOOP, **fields)) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"when": "x == 1"}, "when"),
        ({"forEach": {"items": "[x]", "as": "x"}}, "forEach.items"),
        ({"forEach": {"range": "x", "as": "x"}}, "forEach.range"),
        ({"forEach": {"items": {"range": "x"}, "as": "x"}}, "forEach.items.range"),
    ],
)
def test_the_item_is_not_known_where_the_node_is_asked_once(fields, path):
    [problem] = wrong(node("n", **{"forEach": LOOP, **fields}))
    assert problem.startswith(f'spec.nodes[0].{path}: there is no name "x" here')


def test_a_while_knows_its_iteration_and_what_came_before():
    body = {"job": {"image": "i", "env": [{"name": "A", "value": "${{ iteration }} ${{ previous }}"}]}}
    assert wrong(node("n", while_={"condition": "previous.more && iteration < 3"}, **body)) == []
    assert wrong(node("n", when="iteration == 0", while_={"condition": "true"}))[0].startswith("spec.nodes[0].when: ")
    assert 'there is no name "iteration" here' in wrong(node("n", **body))[0]


@pytest.mark.parametrize("alias", ["nodes", "params", "run", "index", "in", "a-b"])
def test_an_item_cannot_be_called_what_expressions_cannot_write(alias):
    [problem] = wrong(node("n", forEach={"items": [1], "as": alias}))
    assert problem.startswith("spec.nodes[0].forEach.as: ")


@pytest.mark.parametrize(
    "alias",
    ["bool", "bytes", "double", "dyn", "int", "list", "map", "null_type", "optional_type", "string", "type", "uint"],
)
def test_an_item_cannot_be_called_what_is_a_type(alias):
    job = {"image": "i", "env": [{"name": "A", "expr": "string(1)"}]}
    [problem] = wrong(node("n", forEach={"items": [1], "as": alias}, job=job))
    assert problem == f"spec.nodes[0].forEach.as: '{alias}' is a type in expressions; choose another name"


@pytest.mark.parametrize("alias", ["size", "timestamp", "math", "filter", "has"])
def test_an_item_may_be_called_like_a_function(alias):
    job = {"image": "i", "env": [{"name": "A", "expr": f"{alias}.x + math.least(1, size([2]))"}]}
    assert wrong(node("n", forEach={"items": [1], "as": alias}, job=job)) == []


def test_only_ancestors_may_be_named_and_the_mend_is_said():
    assert wrong(node("a"), node("b", "a"), node("c", "b", when="nodes.a.outputs.x == 1")) == []
    [problem] = wrong(node("a"), node("b", when="nodes.a.outputs.x == 1"))
    assert problem.startswith("spec.nodes[1].when: nodes.a is not an ancestor of this node; add it to dependsOn")


def test_a_misspelt_node_or_parameter_is_guessed():
    problems = wrong(
        node("scrape"),
        node("b", "scrape", when="nodes.scrap.outputs.n > params.limt"),
        parameters=[{"name": "limit", "type": "integer"}],
    )
    assert any('there is no node named "scrap"; did you mean "scrape"?' in problem for problem in problems)
    assert any('there is no parameter named "limt"; did you mean "limit"?' in problem for problem in problems)
    assert all(problem.startswith("spec.nodes[1].when: ") for problem in problems)


@pytest.mark.parametrize("written", ["nodes.a-b.outputs.x", "nodes.a-b.outputs", "nodes.a-b.phase == 'Failed'"])
def test_a_name_with_a_dash_has_a_way_to_be_written(written):
    [problem] = wrong(node("a-b"), node("c", "a-b", when=written))
    assert 'nodes["a-b"]' in problem
    assert wrong(node("a-b"), node("c", "a-b", when='nodes["a-b"].outputs.x == 1')) == []


@pytest.mark.parametrize(
    "written", ["nodes.?a-b.outputs.hasValue()", "nodes.?a-b.hasValue()", "dyn(nodes.?a-b) == 1", "nodes.? a-b == 1"]
)
def test_so_has_one_that_may_be_absent(written):
    [problem] = wrong(node("a-b"), node("c", "a-b", when=written))
    assert 'write nodes[?"a-b"]: a dash in a name reads as a subtraction' in problem
    assert wrong(node("a-b"), node("c", "a-b", when='nodes[?"a-b"].outputs.hasValue()')) == []


@pytest.mark.parametrize("name", ["in", "true", "false", "null"])
def test_so_has_one_that_is_a_word_of_the_language(name):
    for written, mend in (
        (f"nodes.{name}.phase == 'Failed'", f'write nodes["{name}"]'),
        (f"nodes . {name}.outputs.x == 1", f'write nodes["{name}"]'),
        (f"nodes.?{name}.outputs.hasValue()", f'write nodes[?"{name}"]'),
        (f"1 == 1 && nodes.{name} == 2", f'write nodes["{name}"]'),
        (f"nodes.a.outputs.{name} == 2", f'write outputs["{name}"]'),
    ):
        [problem] = wrong(node("a"), node(name), node("c", "a", name, when=written))
        assert problem.startswith(f"spec.nodes[2].when: {mend}: `{name}` is a word of the language")
    assert wrong(node(name), node("c", name, when=f'nodes["{name}"].phase == "Failed"')) == []
    [problem] = wrong(node(name), node("c", when=f'nodes["{name}"].phase == "Failed"'))
    assert f'nodes["{name}"] is not an ancestor' in problem


def test_a_word_of_the_language_in_its_own_place_is_not_blamed():
    [problem] = wrong(node("a"), node("c", "a", when="nodes.a.phase in in"))
    assert "unexpected `in`" in problem


def test_a_graph_sees_only_its_own_names():
    graph = {
        "name": "g",
        "parameters": [{"name": "own"}],
        "nodes": [node("m", when="params.own == params.outer"), node("k", when="nodes.n.phase == ''")],
        "outputs": [{"name": "o", "value": "nodes.m.outputs.x + nodes.n.outputs.x"}],
    }
    problems = wrong(
        node("n"),
        node("c", graph={"name": "g", "parameters": {"own": "1"}}),
        parameters=[{"name": "outer"}],
        graphs=[graph],
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "spec.graphs[0].nodes[0].when",
        "spec.graphs[0].nodes[1].when",
        "spec.graphs[0].outputs[0].value",
    ]


def test_finally_sees_the_main_graph_and_how_it_ended():
    report = node("f", when="run.outcome == 'Failed' && size(run.failures) > 0 && nodes.a.phase == 'Failed'")
    assert wrong(node("a"), finally_=[report, node("g", "f", when="nodes.f.phase == 'Failed'")]) == []
    [problem] = wrong(node("a"), finally_=[report, node("g", when="nodes.f.phase == 'Failed'")])
    assert problem.startswith("spec.finally[1].when: nodes.f is not an ancestor of this node")


def test_a_name_is_used_once_over_main_and_finally():
    [problem] = wrong(node("a"), finally_=[node("a")])
    assert problem == "spec.finally[0].name: 'a' is the name of a node of spec.nodes; rename one"


def test_a_finally_node_is_never_undone():
    [problem] = wrong(node("a"), finally_=[node("f", compensate={"job": {"image": "i"}})])
    assert problem.startswith("spec.finally[0].compensate: ")


@pytest.mark.parametrize("text", ["run.outcome == 'x'", 'run["failures"] == []', "size(run . failures) > 0"])
def test_the_outcome_is_not_known_while_the_graph_runs(text):
    [problem] = wrong(node("a", when=text))
    assert "is known only in finally and compensate" in problem


def test_the_outcome_and_the_node_itself_are_known_in_a_compensation():
    undo = {"job": {"image": "i", "env": [{"name": "A", "expr": "nodes.a.outputs.id + run.outcome"}]}}
    assert wrong(node("a", compensate=undo)) == []


def test_run_has_no_other_fields():
    [problem] = wrong(node("a", when="run.nam == 'run.outcome'"))
    assert 'run has no "nam"; did you mean "name"?' in problem


@pytest.mark.parametrize("text", ["run . nam", 'run["nam"]', "run.?nam.hasValue()", "[1].all(x, run.nam == x)"])
def test_it_is_told_however_the_field_is_read(text):
    [problem] = wrong(node("a", expr={"x": text}))
    assert 'run has no "nam"' in problem


@pytest.mark.parametrize(
    "text",
    [
        "[{'x': 1}].map(run, run.x) == [run.attempt]",
        "[{'outcome': 1}].all(run, run.outcome == 1) && run.name == ''",
        "[{'run': {'x': 1}}].exists(item, item.run.x == 1) && run.name == ''",
        "params.exists(key, run[key] == params[key])",
    ],
)
def test_what_is_called_run_for_a_while_has_its_own_fields(text):
    assert wrong(node("a", when=text)) == []


def test_problems_of_defaults_are_told_once():
    problems = wrong(node("a"), node("b"), defaults={"env": [{"name": "A", "expr": "params.x"}]})
    assert len(problems) == 1
    assert problems[0].startswith("spec.defaults.env[0].expr: ")


def test_every_problem_is_told_not_only_the_first():
    problems = wrong(
        node("a", "nowhere", when="nonsense", retry={"when": "1 +"}, concurrency={"key": "${{ }}"}),
        node("b", switch={"cases": [{"name": "x", "when": "y"}]}),
        outputs=[{"name": "o", "value": "z"}],
    )
    assert [problem.partition(": ")[0] for problem in problems] == [
        "spec.nodes[0].dependsOn[0]",
        "spec.nodes[0].when",
        "spec.nodes[0].retry.when",
        "spec.nodes[0].concurrency.key",
        "spec.nodes[1].switch.cases[0].when",
        "spec.outputs[0].value",
    ]


def test_a_bad_default_of_a_parameter():
    [problem] = wrong(node("a"), parameters=[{"name": "n", "type": "integer", "default": "x"}])
    assert problem.startswith("spec.parameters[0].default: parameter 'n' must be of type integer")


def test_an_out_of_memory_retry_counts_in_bytes():
    n = only(
        fields={
            "job": {"image": "i", "resources": {"requests": {"memory": "1Gi"}, "limits": {"cpu": 1}}},
            "retry": {"onOutOfMemory": {"factor": 2, "max": "8Gi"}},
        }
    )
    assert (n.body.job.memory, n.retry.memory_factor, n.retry.memory_max) == ({"requests": 2**30}, 2, 2**33)


@pytest.mark.no_cover  # thousands of nodes: watching each line would double its time
def test_ten_thousand_nodes_that_each_name_an_ancestor_compile():
    nodes = [node("n0"), *(node(f"n{i}", f"n{i - 1}", when=f"nodes.n{i // 2}.exitCode == 0") for i in range(1, 10_000))]
    workflow = compiled(*nodes)
    assert workflow.main.nodes[9_999].rank == 9_999


@pytest.mark.no_cover  # thousands of nodes: watching each line would double its time
def test_after_a_hundred_problems_the_rest_is_only_mentioned():
    for nodes in (
        [node(f"n{i}", f"m{i}") for i in range(3_000)],
        [node(f"n{i}", when=f"nodes.m{i}.exitCode == 0") for i in range(3_000)],
        [node(f"n{i}", job={"image": "i", "script": "${{ 1 }}"}) for i in range(3_000)],
    ):
        problems = wrong(*nodes)
        assert len(problems) <= 102
        assert problems[-1] == "spec: and there is more; mend these first"


def test_a_value_that_is_nested_as_deeply_as_may_be_is_compiled():
    deep = "${{ params.p }}"
    for _ in range(DEEPEST - 4):  # above it stand the spec, its nodes, the node and `workflow`
        deep = {"a": deep}
    parameters = [{"name": "p"}]
    assert wrong(node("n", workflow={"name": "w", "parameters": deep}), parameters=parameters) == []
    with pytest.raises(AssertionError, match="nested too deeply"):
        wrong(node("n", workflow={"name": "w", "parameters": {"a": deep}}), parameters=parameters)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("params.day", 3),
        ("[params.day, 'x']", [3, "x"]),
        ("${{ 'v2-' + string(params.day) }}", "v2-3"),
        (" ${{ params.day }} ", 3),
        ("v2-${{ params.day }}", "v2-3"),
        ("${{ params.day }}-v2", "3-v2"),
        ("${{ params.day }}${{ params.day }}", "33"),
        ("it's $${{ ${{ params.day }}", "it's ${{ 3"),
    ],
)
def test_a_cache_key_is_an_expression_or_a_text_with_expressions_in_it(key, value):
    made = only(fields={"cache": {"key": key}}, parameters=[{"name": "day", "type": "integer"}])
    assert made.cache_key.render({"params": {"day": 3}}) == value


@pytest.mark.parametrize("key", ["v2-abc", "v2 params.day", "daily", "nodes.x-y"])
def test_a_cache_key_that_is_a_bare_text_is_told_how_to_write_it(key):
    [problem] = wrong(node("n", cache={"key": key}))
    assert problem.startswith("spec.nodes[0].cache.key: ")
    assert problem.endswith(
        "; cache.key is CEL: write 'v2-' + params.day, or with the text outside of the braces, v2-${{ params.day }}"
    )


@pytest.mark.parametrize(
    ("key", "told"),
    [("v2-${{ params.dya }}", 'there is no parameter named "dya"'), ("v2-${{ params.day", "without its `}}`")],
)
def test_a_cache_key_that_is_a_template_is_checked_like_one(key, told):
    [problem] = wrong(node("n", cache={"key": key}), parameters=[{"name": "day"}])
    assert told in problem


@pytest.mark.parametrize(
    ("defaults", "path"),
    [
        ({"image": "app:${{ params.tag }}"}, "image"),
        ({"env": [{"name": "TAG", "value": "${{ params.tag }}"}]}, "env[0].value"),
        ({"env": [{"name": "TAG", "expr": "params.tag"}]}, "env[0].expr"),
        ({"retry": {"when": "params.tag == reason"}}, "retry.when"),
    ],
)
def test_defaults_in_a_subgraph_see_its_parameters_and_say_so_once(defaults, path):
    def problems(*declared):
        steps = {"name": "steps", "parameters": list(declared), "nodes": [node("b", job={}), node("c", job={})]}
        handed = {name["name"]: "${{ params.tag }}" for name in declared}
        calls = node("a", graph={"name": "steps", "parameters": handed})
        return wrong(calls, node("d", job={}), parameters=[{"name": "tag"}], defaults=defaults, graphs=[steps])

    assert problems({"name": "tag"}) == []
    (problem,) = problems()
    assert problem.startswith(f'spec.defaults.{path}: params.tag: there is no parameter named "tag"')
    assert problem.endswith(
        "(in graph 'steps': there defaults see that graph's parameters and nodes; declare what they need there, and"
        " hand it on)"
    )
