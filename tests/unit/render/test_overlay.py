"""What is Weft's to set is refused, with the place and the mend; everything else of a Pod may be overlaid."""

from typing import Any

import pytest
from weft.render.overlay import job_problems, overlay_problems


def main(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", **fields}]}}


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"metadata": {"labels": {"team": "a"}, "annotations": {"x": "y"}}, "spec": {}},
        {"metadata": {"labels": {"a.b/c_D.9": "x" * 63, "e": "", "f": None}, "annotations": {"g.h/i": "any text, ü"}}},
        {
            "spec": {
                "priorityClassName": "high",
                "securityContext": {"runAsNonRoot": True},
                "hostAliases": [{"ip": "::1"}],
            }
        },
        {"spec": {"securityContext": None, "tolerations": [{"operator": "Exists"}]}},
        {"spec": {"containers": [{"name": "proxy", "image": "p", "terminationMessagePath": "/x"}]}},
        {"spec": {"initContainers": [{"name": "proxy", "image": "p", "restartPolicy": "Always"}]}},
        {"spec": {"initContainers": [{"name": "proxy", "$patch": "delete"}]}},
        main(workingDir="/work", env=[{"name": "A", "value": "b"}], securityContext=None),
        main(ports=[{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]),
    ],
)
def test_what_may_be_overlaid(template: dict[str, Any]) -> None:
    assert overlay_problems(template) == []


@pytest.mark.parametrize(
    ("template", "path", "word"),
    [
        ([], "", "an object with metadata and spec"),
        ({"specs": {}}, "specs", "metadata and spec"),
        ({"spec": None}, "spec", "an object"),
        ({"metadata": []}, "metadata", "an object"),
        ({"metadata": {"name": "x"}}, "metadata.name", "remove it"),
        ({"metadata": {"finalizers": []}}, "metadata.finalizers", "remove it"),
        ({"metadata": {"ownerReferences": None}}, "metadata.ownerReferences", "remove it"),
        ({"metadata": {"labels": None}}, "metadata.labels", "an object"),
        ({"metadata": {"labels": {"weft.dev/run": "x"}}}, 'metadata.labels["weft.dev/run"]', "set by Weft"),
        (
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}},
            'metadata.labels["app.kubernetes.io/managed-by"]',
            "set by Weft",
        ),
        (
            {"metadata": {"annotations": {"weft.dev/identity": "x"}}},
            'metadata.annotations["weft.dev/identity"]',
            "set by Weft",
        ),
        ({"metadata": {"labels": {"team": "a b"}}}, 'metadata.labels["team"]', "annotations take any text"),
        ({"metadata": {"labels": {"team": "x" * 64}}}, 'metadata.labels["team"]', "at most 63"),
        ({"metadata": {"labels": {"team": 1}}}, 'metadata.labels["team"]', "got 1"),
        ({"metadata": {"labels": {"a/b/c": "x"}}}, 'metadata.labels["a/b/c"]', "the name must be"),
        ({"metadata": {"annotations": {"/x": "y"}}}, 'metadata.annotations["/x"]', "the name must be"),
        ({"metadata": {"annotations": {"a b": "y"}}}, 'metadata.annotations["a b"]', "the name must be"),
        ({"spec": {"restartPolicy": "OnFailure"}}, "spec.restartPolicy", "retry"),
        ({"spec": {"restartPolicy": None}}, "spec.restartPolicy", "retry"),
        ({"spec": {"containers": None}}, "spec.containers", "cannot be removed"),
        ({"spec": {"containers": [{"image": "x"}]}}, "spec.containers[0]", "name"),
        ({"spec": {"volumes": [{"name": "v"}, {"name": "v"}]}}, "spec.volumes[1]", "second item"),
        (
            {"spec": {"initContainers": [{"name": "a", "$patch": "replace"}]}},
            "spec.initContainers[0].$patch",
            "must be delete",
        ),
        (
            {"spec": {"initContainers": [{"name": "a", "env": ["x"]}]}},
            "spec.initContainers[0].env[0]",
            "an object with name",
        ),
        ({"spec": {"$patch": "replace"}}, "spec.$patch", "null removes a field"),
        ({"spec": {"securityContext": {"$patch": "delete"}}}, "spec.securityContext.$patch", "null removes a field"),
        ({"spec": {"tolerations": [{"$patch": "delete"}]}}, "spec.tolerations[0].$patch", "merged by key"),
        (main(resources={"$patch": "replace"}), "spec.containers[0].resources.$patch", "null removes a field"),
        (main(terminationMessagePath="/x"), "spec.containers[0].terminationMessagePath", "$WEFT_OUTPUTS"),
        (main(terminationMessagePolicy=None), "spec.containers[0].terminationMessagePolicy", "$WEFT_OUTPUTS"),
        (main(restartPolicy="Always"), "spec.containers[0].restartPolicy", "retry"),
        (main(**{"$patch": "delete"}), "spec.containers[0].$patch", "cannot be removed"),
        (main(env=None), "spec.containers[0].env", "cannot be removed"),
        (main(env=[{"name": "WEFT_OUTPUTS", "value": "/x"}]), "spec.containers[0].env[0].name", "WEFT_OUTPUTS"),
    ],
)
def test_what_may_not(template: Any, path: str, word: str) -> None:
    [(found, message)] = overlay_problems(template)
    assert found == path
    assert word in message


def test_a_job_is_held_to_the_same_in_its_typed_fields() -> None:
    body = {
        "labels": {"weft.dev/node": "x", "team": "a"},
        "annotations": {"weft.dev/run-uid": "x"},
        "env": [{"name": "A", "value": "b"}, {"name": "WEFT_RUN", "value": "x"}],
        "volumes": [{"emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "w", "mountPath": "/a"}],
        "podTemplate": {"spec": {"restartPolicy": "Always"}},
    }
    assert [path for path, _ in job_problems(body)] == [
        'labels["weft.dev/node"]',
        'annotations["weft.dev/run-uid"]',
        "env[1].name",
        "volumes[0]",
        "volumeMounts[1]",
        "podTemplate.spec.restartPolicy",
    ]


def test_a_podtemplate_that_is_no_object_is_named_whole() -> None:
    assert [path for path, _ in job_problems({"podTemplate": []})] == ["podTemplate"]


def test_an_ordinary_job_has_no_problems() -> None:
    assert job_problems({"image": "busybox", "env": [{"name": "A", "value": "b"}], "labels": {"team": "a"}}) == []
