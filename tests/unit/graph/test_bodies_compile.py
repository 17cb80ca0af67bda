import pytest
from support.specs import compiled, node, wrong


def body(**fields):
    parameters = fields.pop("parameters", [{"name": "p", "default": "x"}])
    types = fields.pop("types", None)
    return compiled(node("n", **fields), parameters=parameters, types=types).main.nodes[0].body


def test_a_switch():
    switch = body(switch={"cases": [{"name": "a", "when": "params.p == 'x'"}], "default": "b"})
    assert [(name, when.text) for name, when in switch.cases] == [("a", "params.p == 'x'")]
    assert switch.default == "b"


def test_an_approval_asks_level_by_level_only_if_it_escalates():
    asked = {
        "from": {"users": ["u"]},
        "timeoutSeconds": 10,
        "message": "Go ${{ params.p }}?",
        "escalation": [{"from": {"groups": ["g"]}, "timeoutSeconds": 20}],
    }
    approval = body(approval={**asked, "onTimeout": "Escalate"}).approval
    assert [(level.users, level.groups, level.timeout) for level in approval.levels] == [
        (("u",), (), 10),
        ((), ("g",), 20),
    ]
    assert approval.message.render({"params": {"p": "x"}}) == "Go x?"
    [problem] = wrong(node("n", approval=asked), parameters=[{"name": "p"}])
    assert problem == (
        "spec.nodes[0].approval.escalation: is never asked, since onTimeout is Reject; write onTimeout: Escalate"
    )


@pytest.mark.parametrize(
    ("approval", "fits"),
    [
        ({"quorum": 2, "from": {"users": ["a"]}}, False),
        ({"quorum": 2, "from": {"users": ["a", "a"]}}, False),
        ({"quorum": 2, "from": {"users": ["a", "b"]}}, True),
        ({"quorum": 2, "from": {"users": ["a"], "groups": ["g"]}}, True),
        ({"quorum": 9}, True),
        ({"quorum": 2, "from": {"users": ["a"]}, "escalation": [{"from": {"users": ["b"]}}]}, True),
        ({"quorum": 2, "from": {"users": ["a"]}, "escalation": [{"from": {"users": ["a"]}}]}, False),
        ({"quorum": 2, "from": {"users": ["a"]}, "escalation": [{"from": {"groups": ["g"]}}]}, True),
    ],
)
def test_a_quorum_can_be_reached(approval, fits):
    if "escalation" in approval:
        approval = {**approval, "onTimeout": "Escalate", "timeoutSeconds": 5}
    told = "spec.nodes[0].approval.quorum: 2 approvals cannot be reached: only a is asked; ask more people, or a group"
    assert wrong(node("n", approval=approval)) == ([] if fits else [told])


def test_who_is_asked_is_no_template_and_told_where_it_stands():
    people = {"users": ["u", "${{ params.p }}"], "groups": ["${{ params.p }}"]}
    problems = wrong(node("n", approval={"from": people}), parameters=[{"name": "p"}])
    assert [problem.partition(": ")[0] for problem in problems] == [
        "spec.nodes[0].approval.from.users[1]",
        "spec.nodes[0].approval.from.groups[0]",
    ]


def test_a_wait():
    assert body(wait={"seconds": 5}).seconds.render({}) == 5
    assert body(wait={"seconds": "${{ params.p }}"}).seconds.render({"params": {"p": 7}}) == 7
    assert body(wait={"until": "2026-12-24T18:00:00Z"}).until.render({}) == "2026-12-24T18:00:00Z"


@pytest.mark.parametrize(
    ("wait", "mend"),
    [
        ({"seconds": "params.p"}, "${{ params.p }}"),
        ({"seconds": "inf"}, "a number of seconds, at most 316224000"),
        ({"seconds": "1e400"}, "a number of seconds, at most 316224000"),
        ({"seconds": "nan"}, "a number of seconds, at most 316224000"),
        ({"seconds": "316224001"}, "a number of seconds, at most 316224000"),
        ({"until": "params.p"}, "${{ params.p }}"),
        ({"until": "tomorrow"}, "a moment such as 2026-12-24T18:00:00Z"),
    ],
)
def test_a_wait_for_nothing_that_can_come_is_refused(wait, mend):
    [problem] = wrong(node("n", wait=wait), parameters=[{"name": "p"}])
    assert mend in problem


def test_http():
    http = body(
        http={
            "url": "https://a.example/${{ params.p }}",
            "headers": [{"name": "X", "value": "${{ params.p }}"}],
            "body": {"a": ["${{ params.p }}"]},
            "successWhen": "status < 300 && body.ok",
            "timeoutSeconds": 9,
        }
    )
    assert http.request.render({"params": {"p": "y"}}) == {
        "url": "https://a.example/y",
        "method": "GET",
        "headers": [{"name": "X", "value": "y"}],
        "body": {"a": ["y"]},
    }
    assert (http.success_when.text, http.timeout, http.max_bytes) == ("status < 300 && body.ok", 9, 65_536)


def test_http_wants_an_address():
    [problem] = wrong(node("n", http={"url": "ftp://a.example"}))
    assert problem.startswith("spec.nodes[0].http.url: must begin with http:// or https://")


@pytest.mark.parametrize("url", ["http://", "https:///orders", "https://:80/", "https://[::1/", "http://?a=b"])
def test_an_address_names_a_host(url: str):
    [problem] = wrong(node("n", http={"url": url}))
    assert problem == f"spec.nodes[0].http.url: must name a host, as https://shop.example/orders does, got {url!r}"


@pytest.mark.parametrize(
    "url", ["http://a", "https://[::1]/", "HTTPS://u:p@a.example:8443/x?y#z", "http://${{ params.p }}"]
)
def test_an_address_with_a_host_is_taken(url: str):
    assert not wrong(node("n", http={"url": url}), parameters=[{"name": "p", "type": "string"}])


def test_a_resource():
    resource = body(
        resource={
            "manifest": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "${{ params.p }}"}},
            "successWhen": "object.data.a == 'x'",
            "failWhen": "false",
        }
    )
    assert resource.request.render({"params": {"p": "y"}})["data"] == {"a": "y"}
    assert (resource.success_when.text, resource.fail_when.text) == ("object.data.a == 'x'", "false")


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ({"apiVersion": "../../api/v1"}, "apiVersion: '../../api/v1' is no apiVersion such as apps/v1"),
        ({"apiVersion": 1}, "apiVersion: 1 is no apiVersion such as apps/v1"),
        ({"metadata": {"name": ".."}}, "metadata.name: '..' is no name of an object"),
        ({"metadata": {"name": "a/b"}}, "metadata.name: 'a/b' is no name of an object"),
    ],
)
def test_what_is_written_out_of_a_resource_leads_to_its_own_path(manifest, problem):
    manifest = {"apiVersion": "v1", "kind": "ConfigMap"} | manifest
    assert wrong(node("n", resource={"manifest": manifest})) == [f"spec.nodes[0].resource.manifest.{problem}"]


@pytest.mark.parametrize("metadata", [None, {}, {"name": ""}, {"name": "n-${{ params.p }}"}, {"name": 1}, "x"])
def test_what_is_not_known_of_a_resource_is_no_problem_yet(metadata):
    body(resource={"manifest": {"apiVersion": "${{ params.p }}/v1", "kind": "ConfigMap", "metadata": metadata}})


def test_expr_and_workflow():
    assert [(name, program.text) for name, program in body(expr={"a": "1", "b": "params.p"}).values] == [
        ("a", "1"),
        ("b", "params.p"),
    ]
    child = body(workflow={"name": "other", "parameters": {"a": "${{ params.p }}"}})
    assert (child.name, child.parameters.render({"params": {"p": [1]}})) == ("other", {"a": [1]})


TYPE = {
    "parameters": [{"name": "to"}, {"name": "n", "type": "integer", "default": 1}],
    "job": {"image": "i", "env": [{"name": "TO", "value": "${{ params.to }} ${{ run.name }}"}]},
    "outputs": [{"name": "sent"}, {"name": "twice", "value": "outputs.count * params.n"}],
    "retry": {"limit": 2, "when": "exitCode == 1"},
    "timeoutSeconds": 9,
}


def test_a_node_type_is_inlined():
    workflow = compiled(
        node("n", use={"name": "t", "with": {"to": "${{ params.p }}"}}), parameters=[{"name": "p"}], types={"t": TYPE}
    )
    n = workflow.main.nodes[0]
    assert (n.body.kind, n.body.node_type, n.retry.limit, n.timeout) == ("job", "t", 2, 9)
    assert n.body.inputs.render({"params": {"p": "x"}}) == {"to": "x"}
    assert [parameter.name for parameter in n.body.declared] == ["to", "n"]
    results = {
        name: program.evaluate({"outputs": {"count": 3}, "params": {"n": 2}}) for name, program in n.body.results
    }
    assert results == {"sent": None, "twice": 6}


def test_the_retry_of_a_node_type_is_the_types():
    bad = {**TYPE, "retry": {"when": "exitCod == 1"}}
    uses = [node(name, use={"name": "t", "with": {"to": name}}) for name in ("n", "m")]
    [problem] = wrong(*uses, types={"t": bad})
    assert problem.startswith("spec.nodes[0].use.name: in NodeType 't': spec.retry.when: ")
    assert "exitCod" in problem
    for text in ("params.n == 1", "nodes.a.phase == 'x'"):
        [problem] = wrong(
            node("n", use={"name": "t", "with": {"to": "a"}}), types={"t": {**TYPE, "retry": {"when": text}}}
        )
        assert "spec.retry.when: " in problem
    good = {**TYPE, "retry": {"when": "run.attempt == 1 && reason == 'x' && attempt < 3 && outputs.a == message"}}
    assert wrong(node("n", use={"name": "t", "with": {"to": "a"}}), types={"t": good}) == []


def test_inside_a_node_type_nothing_of_the_graph_is_known():
    bad = {"expr": {"a": "nodes.m.outputs.x", "b": "params.p", "c": "run.name"}}
    problems = wrong(node("m"), node("n", "m", use={"name": "t"}), parameters=[{"name": "p"}], types={"t": bad})
    assert len(problems) == 2
    assert all(problem.startswith("spec.nodes[1].use.name: in NodeType 't': spec.expr.") for problem in problems)


def test_with_is_held_against_the_types_parameters():
    [missing] = wrong(node("n", use={"name": "t"}), types={"t": TYPE})
    assert missing.startswith("spec.nodes[0].use.with: parameter 'to' is required")
    [unknown] = wrong(node("n", use={"name": "t", "with": {"to": "a", "too": "b"}}), types={"t": TYPE})
    assert "'too'" in unknown


def test_an_unknown_node_type():
    [problem] = wrong(node("n", use={"name": "slak"}), types={"slack": TYPE})
    assert problem == "spec.nodes[0].use.name: there is no NodeType named 'slak'; did you mean \"slack\"?"
    [problem] = wrong(node("n", use={"name": "slack"}))
    assert problem == "spec.nodes[0].use.name: NodeType 'slack' is not known here"


def test_a_service_of_a_node_type_needs_a_job():
    assert wrong(node("n", service=True, use={"name": "t"}), types={"t": {"job": {"image": "i"}}}) == []
    [problem] = wrong(node("n", service=True, use={"name": "t"}), types={"t": {"expr": {"a": "1"}}})
    assert problem == "spec.nodes[0].service: a service is a job, and NodeType 't' is expr"


def test_a_node_type_inherits_the_defaults_that_are_not_templated():
    workflow = compiled(
        node("n", use={"name": "t"}),
        parameters=[{"name": "p"}],
        types={"t": {"job": {"command": ["x"]}}},
        defaults={
            "image": "base",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "${{ params.p }}"}],
            "nodeSelector": {"zone": "a"},
        },
    )
    job = workflow.main.nodes[0].body.job
    assert job.values.render({}) == {"image": "base", "env": [{"name": "A", "value": "1"}]}
    assert job.spec["nodeSelector"] == {"zone": "a"}
