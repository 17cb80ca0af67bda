"""From a node and an attempt to its Job: the Pod is built once per node and filled in once per attempt.

What a filled Job shares with its template is never copied, so a Job is to be sent and not to be changed. Values come
from the engine rendered and, in args and env, escaped for the kubelet (`Template.render_kubelet`): nothing is escaped
here but the script, which has no templates and whose `$(...)` is the shell's, not the kubelet's.
"""

from collections.abc import Mapping
from typing import Any

from weft.api.objects import Obj
from weft.expr.template import to_text
from weft.render.names import Identity, RunRef, child_annotations, child_labels, job_name, run_owner
from weft.render.overlay import MAIN
from weft.render.template import KUEUE, OUTPUTS_PATH, main_of, pod_template

MANAGED_BY = "weft.dev/operator"
_KUEUE_QUEUE = KUEUE + "queue-name"


class JobTemplate:
    """The Job of one node, but for what differs between attempts.

    `body` is the node's job as JSON with defaults merged in, free of `overlay.job_problems`. `timeout` is that of one
    attempt in seconds; None for none, as services have. `restricted`: the Pod has to pass Pod Security "restricted".
    """

    __slots__ = (
        "_annotations", "_kueue", "_labels", "_main", "_metadata", "_overlaid", "_overlaid_env", "_pod", "_rest",
    )  # fmt: skip

    def __init__(self, body: Mapping[str, Any], *, timeout: float | None = None, restricted: bool = False) -> None:
        template = pod_template(body, timeout, restricted=restricted)
        containers = template["spec"]["containers"]
        over_main = main_of((body.get("podTemplate") or {}).get("spec", {}).get("containers", []))
        self._labels: dict[str, str] = body.get("labels") or {}
        self._annotations: dict[str, str] = body.get("annotations") or {}
        self._kueue = _KUEUE_QUEUE in self._labels
        self._metadata = template["metadata"]
        self._pod = template["spec"]
        self._main = main_of(containers)
        self._rest = [container for container in containers if container["name"] != MAIN]
        self._overlaid = over_main.keys()
        self._overlaid_env = {variable["name"] for variable in over_main.get("env", ())}

    def render(
        self,
        run: RunRef,
        attempt: Identity,
        payload: Mapping[str, Any],
        *,
        memory: Mapping[str, int] | None = None,
        managed: bool = True,
    ) -> Obj:
        """Give the Job of one attempt.

        `payload` has the rendered values: image, args, and env as [{name, value}]. `memory` (bytes by
        kind: requests, limits) stands instead of what the body says. `managed`: Weft is the Job's controller, unless
        Kueue has to be asked.
        """
        path, _, _, _, number = attempt
        ours = child_labels(run, path, number)
        identity = child_annotations(run.uid, attempt)
        metadata = {
            "labels": {**self._metadata.get("labels", {}), **ours},
            "annotations": {**self._metadata.get("annotations", {}), **identity},
        }
        main = self._filled_main(run, attempt, payload, memory)
        spec: dict[str, Any] = {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "template": {"metadata": metadata, "spec": {**self._pod, "containers": [main, *self._rest]}},
        }
        if self._kueue:
            spec["suspend"] = True
        elif managed:
            spec["managedBy"] = MANAGED_BY
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": job_name(run, attempt),
                "namespace": run.namespace,
                "labels": {**self._labels, **ours},
                "annotations": {**self._annotations, **identity},
                "ownerReferences": [run_owner(run)],
            },
            "spec": spec,
        }

    def _filled_main(
        self, run: RunRef, attempt: Identity, payload: Mapping[str, Any], memory: Mapping[str, int] | None
    ) -> dict[str, Any]:
        main = {**self._main, "env": self._env(run, attempt, payload.get("env") or ())}
        if "image" in payload and "image" not in self._overlaid:
            main["image"] = to_text(payload["image"])
        if "args" in payload and "args" not in self._overlaid:
            main["args"] = [to_text(argument) for argument in payload["args"]]
        if memory is not None:
            resources = main.get("resources") or {}
            raised = {kind: {**(resources.get(kind) or {}), "memory": str(size)} for kind, size in memory.items()}
            main["resources"] = {**resources, **raised}
        return main

    def _env(self, run: RunRef, attempt: Identity, rendered: Any) -> list[dict[str, Any]]:
        """Weft's variables come first, so that the author's can refer to them as $(WEFT_NODE)."""
        path, index, _, _, number = attempt
        ours = {
            "WEFT_OUTPUTS": OUTPUTS_PATH,
            "WEFT_RUN": run.name,
            "WEFT_NAMESPACE": run.namespace,
            "WEFT_NODE": path,
            "WEFT_ATTEMPT": str(number),
        }
        if index is not None:
            ours["WEFT_INDEX"] = str(index)
        env = [{"name": name, "value": value} for name, value in ours.items()]
        values = {
            one["name"]: {"name": one["name"], "value": to_text(one["value"])}
            for one in rendered
            if "value" in one and one["name"] not in self._overlaid_env
        }
        env += (values.pop(variable["name"], variable) for variable in self._main.get("env") or ())
        return [*env, *values.values()]
