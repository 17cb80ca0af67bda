"""What one node asks of its Job: what people write daily, typed, and `podTemplate`, an open overlay for the rest.

The full PodSpec schema is not embedded: the CRD would pass the size that client-side apply can carry. `JobSettings`
is what a Workflow's `defaults` can give to every Job; `JobBody` adds what only a node can say.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from weft.api.base import (
    ENV_NAME,
    MAX_TEXT,
    Expression,
    Model,
    ObjectName,
    OpenList,
    OpenObject,
    Quantities,
    StringMap,
    Text,
    unique_names,
)

Argument = Annotated[str, Field(max_length=MAX_TEXT)]


class EnvVar(Model):
    """One environment variable, from a value, an expression or a Kubernetes source.

    That there is one source is not a CEL rule: it would cost more than the API server allows at this depth.
    """

    name: Annotated[str, Field(pattern=ENV_NAME, min_length=1, max_length=253)] = Field(
        description="Name of the variable."
    )
    value: Text | None = Field(
        None,
        description="Its value; a template: ${{ params.limit }}. A value that is not a string becomes compact JSON.",
    )
    expr: Expression | None = Field(
        None, description="Its value as a CEL expression without braces, for Helm charts: params.limit."
    )
    value_from: OpenObject | None = Field(
        None, description="A source as in a Pod: secretKeyRef, configMapKeyRef, fieldRef or resourceFieldRef."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = {"value": self.value, "expr": self.expr, "valueFrom": self.value_from}
        found = [name for name, source in sources.items() if source is not None]
        if len(found) > 1:
            raise ValueError(f"{' and '.join(found)} are given; keep one")
        return self


class Resources(Model):
    """Compute resources of the main container."""

    requests: Quantities | None = Field(None, description="What the container is promised: {cpu: 500m, memory: 1Gi}.")
    limits: Quantities | None = Field(None, description="What the container may not pass.")


Env = Annotated[list[EnvVar], Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "map"})]


class JobSettings(Model):
    """What a node's Job says and a Workflow's `defaults` can say for all of them."""

    image: Annotated[str, Field(max_length=1024)] | None = Field(
        None, description="Container image of main; a template: registry.example/app:${{ params.tag }}."
    )
    env: Annotated[Env, AfterValidator(unique_names)] = Field(
        default_factory=list,
        description="Environment variables of main, beside those Weft sets (WEFT_OUTPUTS and others).",
    )
    env_from: OpenList = Field(
        default_factory=list,
        description="Whole ConfigMaps or Secrets as variables, as in a Pod: configMapRef, secretRef.",
    )
    resources: Resources | None = Field(None, description="Requests and limits of main.")
    volumes: OpenList = Field(default_factory=list, description="Volumes of the Pod, as in a Pod; each has a name.")
    volume_mounts: OpenList = Field(default_factory=list, description="Where main mounts them, as in a container.")
    service_account_name: ObjectName | None = Field(None, description="Service account the Pod runs as.")
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        None, description="When the kubelet pulls the image."
    )
    node_selector: StringMap = Field(default_factory=dict, description="Labels a cluster node must bear.")
    tolerations: OpenList = Field(default_factory=list, description="Taints the Pod tolerates, as in a Pod.")
    labels: StringMap = Field(
        default_factory=dict, description="Labels of the Job and the Pod. Weft's own (weft.dev/) cannot be set."
    )
    annotations: StringMap = Field(default_factory=dict, description="Annotations of the Job and the Pod.")
    pod_template: OpenObject | None = Field(
        None,
        description=(
            "Anything else of a Pod's template ({metadata, spec}), merged by key over the Pod Weft builds; lists of"
            " named things by name (the container Weft builds is main). Cannot set restartPolicy, finalizers,"
            " ownerReferences, Weft's labels or main's terminationMessagePath."
        ),
    )


class JobBody(JobSettings):
    """A container that runs to its end: one Kubernetes Job per attempt."""

    command: Annotated[list[Argument], Field(max_length=256)] = Field(
        default_factory=list, description="Entrypoint of main. No templates: pass values through env."
    )
    args: Annotated[list[Argument], Field(max_length=1024)] = Field(
        default_factory=list, description="Arguments of main; templates, except behind a shell's -c."
    )
    script: Annotated[str, Field(max_length=100_000)] | None = Field(
        None,
        description="A script, run by command (a shell unless given), instead of args. No templates: use env.",
    )
