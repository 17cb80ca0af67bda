from typing import Any

import pytest
from support.specs import compiled, node, wrong
from weft.engine.state import AttemptId
from weft.render.job import JobTemplate
from weft.render.names import RunRef


def job(defaults=None, **fields):
    spec = {"defaults": defaults} if defaults else {}
    return compiled(node("n", job={"image": "i", **fields}), parameters=[{"name": "p"}], **spec).main.nodes[0].body.job


def test_values_have_what_the_body_has_and_no_more():
    assert job().values.render({}) == {"image": "i"}
    rendered = job(
        image="i:${{ params.p }}",
        args=["a", "${{ params.p }}"],
        env=[{"name": "A", "value": "x-${{ params.p }}"}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s"}}}],
    ).values.render({"params": {"p": "1"}})
    assert rendered == {"image": "i:1", "args": ["a", "1"], "env": [{"name": "A", "value": "x-1"}]}


@pytest.mark.parametrize(
    ("value", "text"), [(12, "12"), ([1, "a"], '[1,"a"]'), (True, "true"), ("s", "s"), (None, "null")]
)
def test_a_value_that_is_not_a_string_becomes_compact_json_in_env(value, text):
    values = job(env=[{"name": "A", "value": "${{ params.p }}"}, {"name": "B", "expr": "params.p"}]).values
    assert [one["value"] for one in values.render({"params": {"p": value}})["env"]] == [text, text]


def test_the_kubelet_expands_what_the_author_wrote_and_nothing_rendered():
    values = job(env=[{"name": "A", "value": "$(HOME) ${{ params.p }}"}], args=["${{ params.p }}"]).values
    rendered = values.render({"params": {"p": "$(TOKEN)"}})
    assert rendered["env"][0]["value"] == "$(HOME) $$(TOKEN)"
    assert rendered["args"] == ["$$(TOKEN)"]


def test_an_expression_may_be_written_with_or_without_braces():
    values = job(
        env=[{"name": "A", "expr": "${{ params.p }}"}, {"name": "B", "expr": "{'a': {'b': params.p}}.a.b // x"}]
    ).values
    assert [one["value"] for one in values.render({"params": {"p": "v"}})["env"]] == ["v", "v"]


def test_what_a_pod_template_deletes_reaches_the_pod():
    """Weft builds a Pod with a seccomp profile, and says what user it is where it has to be restricted."""
    deleting = {"spec": {"securityContext": {"runAsUser": None, "seccompProfile": None}}}
    for made in (job({}, podTemplate=deleting), job({"podTemplate": deleting})):
        template = JobTemplate(made.spec, restricted=True)
        attempt = AttemptId("n", None, None, "main", 1)
        rendered = template.render(RunRef("ns", "r", "u", "w"), attempt, {"image": "i"})
        context = rendered["spec"]["template"]["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context.keys().isdisjoint({"runAsUser", "seccompProfile"})


def test_settings_are_inherited_by_key_and_by_name():
    defaults = {
        "image": "base",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
        "nodeSelector": {"a": "1", "b": "1"},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
        "tolerations": [{"key": "a"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "podTemplate": {"spec": {"priorityClassName": "low", "hostNetwork": True}},
    }
    own = job(
        defaults,
        env=[{"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
        nodeSelector={"b": "2"},
        resources={"requests": {"memory": "2Gi"}},
        tolerations=[{"key": "b"}],
        volumes=[{"name": "v", "configMap": {"name": "c"}}],
        podTemplate={"spec": {"priorityClassName": "high"}},
    )
    assert own.spec["nodeSelector"] == {"a": "1", "b": "2"}
    assert own.spec["resources"] == {"requests": {"cpu": "1", "memory": "2Gi"}}
    assert own.spec["tolerations"] == [{"key": "b"}]
    assert own.spec["volumes"] == [{"name": "v", "configMap": {"name": "c"}}]
    assert own.spec["podTemplate"] == {"spec": {"priorityClassName": "high", "hostNetwork": True}}
    assert own.values.render({})["env"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
        {"name": "C", "value": "3"},
    ]
    assert own.spec["env"][1] == {"name": "B", "value": "2"}
    assert own.memory == {"requests": 2 * 2**30}


@pytest.mark.parametrize(
    ("resources", "over", "memory"),
    [
        (None, None, {}),
        ({"limits": {"cpu": 1}}, None, {}),
        ({"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}, None, {"requests": 2**30, "limits": 2**31}),
        (None, {"limits": {"memory": "1Gi"}}, {"limits": 2**30}),
        ({"requests": {"memory": "1Gi"}}, {"requests": {"memory": "2Gi"}}, {"requests": 2**31}),
        ({"requests": {"memory": "1Gi"}}, {"limits": {"memory": 5}}, {"requests": 2**30, "limits": 5}),
        (None, {"limits": {"memory": "a lot"}}, {}),  # for the API server to refuse
        (None, {"limits": "much"}, {}),
    ],
)
def test_the_memory_that_is_declared_is_that_of_main_as_it_will_run(
    resources: dict[str, Any] | None, over: dict[str, Any] | None, memory: dict[str, int]
) -> None:
    fields: dict[str, Any] = {} if resources is None else {"resources": resources}
    if over is not None:
        fields["podTemplate"] = {"spec": {"containers": [{"name": "main", "resources": over}]}}
    assert job({"image": "i"}, **fields).memory == memory


def test_an_inherited_image_is_rendered_too():
    workflow = compiled(node("n", job={}), parameters=[{"name": "p"}], defaults={"image": "app:${{ params.p }}"})
    assert workflow.main.nodes[0].body.job.values.render({"params": {"p": "1"}}) == {"image": "app:1"}


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("labels", {"a": "${{ params.p }}"}, "labels.a"),
        ("annotations", {"a/b": "${{ params.p }}"}, 'annotations["a/b"]'),
        ("annotations", {"${{ params.p }}": "x"}, "annotations"),
        ("nodeSelector", {"a": "x${{ params.p }}"}, "nodeSelector.a"),
        ("tolerations", [{"key": "${{ params.p }}"}], "tolerations[0].key"),
        ("envFrom", [{"secretRef": {"name": "${{ params.p }}"}}], "envFrom[0].secretRef.name"),
        ("volumes", [{"name": "v", "configMap": {"name": "${{ params.p }}"}}], "volumes[0].configMap.name"),
        ("env", [{"name": "A", "valueFrom": {"x": "${{ params.p }}"}}], "env[0].valueFrom.x"),
        ("podTemplate", {"spec": {"hostname": "${{ params.p }}"}}, "podTemplate.spec.hostname"),
    ],
)
@pytest.mark.parametrize("defaults", [False, True])
def test_where_templates_mean_nothing_they_are_refused_with_the_places_where_they_do(field, value, path, defaults):
    spec = {"defaults": {field: value}} if defaults else {}
    [problem] = wrong(
        node("n", job={"image": "i", **({} if defaults else {field: value})}), parameters=[{"name": "p"}], **spec
    )
    assert problem.startswith(f"spec.{'defaults' if defaults else 'nodes[0].job'}.{path}: ")
    assert "cannot be templated" in problem
    assert "env values, image, args" in problem


def test_a_literal_is_unescaped_wherever_it_stands():
    own = job(
        script="echo $${{ x }}", command=["$${{"], labels={"a": "$${{ x }}"}, env=[{"name": "A", "value": "$${{ x }}"}]
    )
    assert (own.spec["script"], own.spec["command"], own.spec["labels"]) == (
        "echo ${{ x }}",
        ["${{"],
        {"a": "${{ x }}"},
    )
    assert own.values.render({})["env"][0]["value"] == "${{ x }}"


def test_what_is_wefts_cannot_be_overlaid():
    [problem] = wrong(node("n", job={"image": "i", "podTemplate": {"spec": {"restartPolicy": "Always"}}}))
    assert problem.startswith("spec.nodes[0].job.podTemplate.spec.restartPolicy: ")
