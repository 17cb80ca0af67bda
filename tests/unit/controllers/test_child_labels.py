"""Whatever a run leaves in the cluster says by its labels whose it is: people find it by them."""

from collections.abc import AsyncIterator

import pytest
from support.rig import Fate, Rig
from weft.api.objects import Obj, owner_of
from weft.engine.budget import MAX_INLINE_OUTPUTS
from weft.kube.resources import CONFIG_MAPS, JOBS, PODS, WORKFLOW_RUNS
from weft.notify.guarded_http import Response

URL = "http://receiver.example/"
OF_A_RUN = {"weft.dev/workflow", "weft.dev/run", "app.kubernetes.io/managed-by"}
OF_A_NODE = OF_A_RUN | {"weft.dev/node", "weft.dev/attempt"}
LARGE = f'{{"text": "{"x" * 4000}"}}'
ITEMS = MAX_INLINE_OUTPUTS // len(LARGE) + 2


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.http.answers[URL] = Response(204, {}, b"")
    rig.apply(
        "{apiVersion: weft.dev/v1alpha1, kind: NotificationChannel, metadata: {name: team}, "
        f"spec: {{type: Webhook, webhook: {{url: '{URL}'}}}}}}"
    )
    rig.workflow("child", "nodes: [{name: x, job: {image: i}}]")
    rig.workflow(
        "w",
        f"""
        notifications: [{{channel: team}}]
        jobs: {{keep: All}}
        graphs: [{{name: g, nodes: [{{name: upload, job: {{image: i}}}}]}}]
        nodes:
        - {{name: large, forEach: {{range: {ITEMS}}}, job: {{image: i}}}}
        - {{name: publish, graph: {{name: g}}}}
        - {{name: other, workflow: {{name: child}}}}
        """,
    )
    rig.behave = lambda node, attempt: Fate(text=LARGE if node == "large" else "")
    yield rig
    await rig.close()


def children(rig: Rig) -> dict[str, Obj]:
    """What belongs to the run `r`, by kind and name; a Pod belongs to its Job's run."""
    found: dict[str, Obj] = {}
    owners = {rig.run()["metadata"]["uid"]}
    for resource, owner in (
        (JOBS, "WorkflowRun"),
        (PODS, "Job"),
        (CONFIG_MAPS, "WorkflowRun"),
        (WORKFLOW_RUNS, "WorkflowRun"),
    ):
        for each in rig.api.all(resource):
            if (owner_of(each, owner) or {}).get("uid") in owners:
                found[f"{resource.kind} {each['metadata']['name']}"] = each
                owners |= {each["metadata"]["uid"]} if resource is JOBS else set()
    return found


async def test_every_child_of_a_run_bears_its_labels(rig: Rig) -> None:
    run = await rig.finish("w")
    await rig.clock.advance(5)
    assert run["status"]["phase"] == "Succeeded", run["status"]["conditions"]
    labels = {name: each["metadata"].get("labels") or {} for name, each in children(rig).items()}
    whole = {name for name in labels if name.startswith("ConfigMap")}  # of the run as a whole: no node's alone
    assert {"notifications" in name for name in whole} == {True, False}
    assert {name.partition(" ")[0] for name in labels.keys() - whole} == {"Job", "Pod", "WorkflowRun"}
    lacking = {name: (OF_A_RUN if name in whole else OF_A_NODE) - each.keys() for name, each in labels.items()}
    assert {name: keys for name, keys in lacking.items() if keys} == {}
    told = {
        (each["weft.dev/workflow"], each["weft.dev/run"], each["app.kubernetes.io/managed-by"])
        for each in labels.values()
    }
    assert told == {("w", "r", "weft")}
    assert {each.get("weft.dev/node") for each in labels.values()} == {None, "large", "publish.upload", "other"}
