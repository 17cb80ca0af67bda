"""Which resources Weft talks to, and where they live under the API server's paths.

A resource is five words; everything else (typed models, discovery on each start) would be paid for on the hot path
and is not needed: these kinds do not change.
"""

from dataclasses import dataclass
from urllib.parse import quote

from weft.api.base import GROUP, VERSION
from weft.api.objects import is_name
from weft.kube.errors import Invalid


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object as the API server serves it. The core group is ""."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Give what stands in `apiVersion`: `batch/v1`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Give the URL path of the collection (no name), of one object or of its subresource.

        A namespaced resource without a namespace gives the collection over all namespaces. Raises Invalid for what
        would lead to another path.
        """
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


def _segment(text: str) -> str:
    """A name as a part of a path: clients and servers take `..` for the folder above, escaped or not."""
    if not is_name(text):
        raise Invalid(f"{text!r} is no name of an object", code=422, reason="Invalid")
    return quote(text, safe="")


PODS = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENTS = Resource("", "v1", "events", "Event")
JOBS = Resource("batch", "v1", "jobs", "Job")
CONTROLLER_REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
VALIDATING_ADMISSION_POLICIES = Resource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False
)
VALIDATING_ADMISSION_POLICY_BINDINGS = Resource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding",
    namespaced=False,
)  # fmt: skip

WORKFLOWS = Resource(GROUP, VERSION, "workflows", "Workflow")
WORKFLOW_RUNS = Resource(GROUP, VERSION, "workflowruns", "WorkflowRun")
APPROVALS = Resource(GROUP, VERSION, "approvals", "Approval")
WORKFLOW_QUEUES = Resource(GROUP, VERSION, "workflowqueues", "WorkflowQueue")
NODE_TYPES = Resource(GROUP, VERSION, "nodetypes", "NodeType")
NOTIFICATION_CHANNELS = Resource(GROUP, VERSION, "notificationchannels", "NotificationChannel")
