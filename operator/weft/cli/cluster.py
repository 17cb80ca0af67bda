"""The API server as the commands see it: plain objects, a handful of verbs, one kind of error.

The official client knows kubeconfigs, credentials and connections; here its typed models are left aside, since what
the commands print is what the API server said, and so is its parser, which one object that is nested deeply enough
would end (`kube/deep`). Whatever goes wrong comes out as the ApiError of `kube/errors`.
`watch` outlives broken connections: a person who follows a run should not notice that the API server restarted.
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import orjson
from kubernetes import config as kubernetes_config
from kubernetes.client import ApiException, Configuration, CustomObjectsApi
from urllib3.exceptions import HTTPError

from weft.api.objects import Obj, Objects, version_of
from weft.cli.impersonation import Header, ImpersonatingClient
from weft.cli.kubeconfig import NoKubeconfig, read_kubeconfig
from weft.kube.deep import readable
from weft.kube.errors import ApiError, NotFound, ServerError, TooManyRequests, Unreachable, from_response
from weft.kube.resources import Resource

CONNECT_SECONDS, READ_SECONDS = 10, 60
WATCH_SECONDS = 300
SILENCE_SECONDS = 86_400
"""How long a log that is followed may stay silent."""
PAGE = 500
"""Objects asked for at once: a run's status may be large."""
PATIENCE = 30
"""Attempts, a second or two apart, to reach an API server that was there a moment ago."""

AWAY = (Unreachable, ServerError, TooManyRequests)

T = TypeVar("T")

_SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class Cluster:
    """One namespace of one cluster. Every method raises ApiError."""

    def __init__(
        self,
        configuration: Configuration,
        namespace: str,
        *,
        acting_as: tuple[Header, ...] = (),
        sleep: Callable[[float], None] = time.sleep,
    ):
        """Take the connection, the namespace to work in, the headers that impersonate somebody, and what waits."""
        configuration.retries = False  # a refused connection is told at once, and without log lines
        self.host: str = configuration.host
        self.namespace = namespace
        self.sleep = sleep
        self._client = ImpersonatingClient(configuration, acting_as)
        self._objects = CustomObjectsApi(self._client)

    def get(self, resource: Resource, name: str) -> Obj:
        """Give an object; raises NotFound."""
        return self._json(self._objects.get_namespaced_custom_object, *self._place(resource), name)

    def find_all(self, resource: Resource, *, all_namespaces: bool = False) -> Objects:
        """Give the objects of the namespace, or of all."""
        call, place = self._collection(resource, all_namespaces)
        return _pages(lambda more: self._json(call, *place, limit=PAGE, **more))

    def create(self, resource: Resource, obj: Obj) -> Obj:
        """Create an object; give it as stored. Raises AlreadyExists."""
        return self._json(self._objects.create_namespaced_custom_object, *self._place(resource), obj)

    def patch(self, resource: Resource, name: str, patch: Obj) -> Obj:
        """Merge a patch into an object; give it as stored."""
        call = self._objects.patch_namespaced_custom_object
        merge = {"_content_type": "application/merge-patch+json"}
        return self._json(call, *self._place(resource), name, patch, **merge)

    def watch(self, resource: Resource, name: str) -> Iterator[Obj]:
        """Give an object as it is and then each time it has changed; the end means that it was deleted."""
        for stored in self._until_gone(resource, name):
            yield stored
            try:
                for line in self._lines(
                    self._objects.list_namespaced_custom_object, *self._place(resource), watch=True,
                    field_selector=f"metadata.name={name}", resource_version=version_of(stored),
                    timeout_seconds=WATCH_SECONDS,
                    _request_timeout=(CONNECT_SECONDS, WATCH_SECONDS + READ_SECONDS),
                ):  # fmt: skip
                    event = orjson.loads(readable(line))
                    if event["type"] == "ERROR":
                        self.sleep(1)
                        break
                    if event["type"] == "DELETED":
                        return
                    yield event["object"]
            except ApiError:
                self.sleep(1)

    def patiently(self, call: Callable[[], T]) -> T:
        """Give what a call gives, patient with a server that is away for a while."""
        for _ in range(PATIENCE):
            try:
                return call()
            except AWAY:
                self.sleep(2)
        return call()

    def table(self, resource: Resource, *, all_namespaces: bool = False) -> Obj:
        """Give the objects as kubectl prints them: the server's own Table, without the objects themselves."""
        call, place = self._collection(resource, all_namespaces)
        return self._json(call, *place, _headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})

    def whoami(self) -> tuple[str, list[str]]:
        """Give the user as the API server knows him, and his groups."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        create = self._objects.create_cluster_custom_object
        user = self._json(create, "authentication.k8s.io", "v1", "selfsubjectreviews", review)["status"]["userInfo"]
        return user["username"], list(user.get("groups") or ())

    def config_map(self, name: str) -> dict[str, str]:
        """Give the data of a ConfigMap; raises NotFound."""
        stored = self._json(self._core.read_namespaced_config_map, name, self.namespace)
        return dict(stored.get("data") or {})

    def pods(self, selector: str) -> Objects:
        """Give the Pods with those labels."""
        call = self._core.list_namespaced_pod
        return _pages(lambda more: self._json(call, self.namespace, label_selector=selector, limit=PAGE, **more))

    def follow_log(self, pod: str, *, container: str) -> Iterator[bytes]:
        """Give the lines of a container's log until it has ended; one that breaks off goes on from where it was."""
        last, failed = b"", 0
        while True:
            try:
                for line in self.log(pod, container=container, follow=True, timestamps=True):
                    stamp, _, text = line.partition(b" ")
                    if stamp > last:
                        last, failed = stamp, 0
                        yield text
                return
            except AWAY:
                failed += 1
                if failed > PATIENCE:
                    raise
                self.sleep(2)

    def log(self, pod: str, *, container: str, follow: bool, timestamps: bool = False) -> Iterator[bytes]:
        """Give the lines of a container's log, without their ends; with `follow`, until the container has ended."""
        patience = (CONNECT_SECONDS, SILENCE_SECONDS if follow else READ_SECONDS)
        return self._lines(
            self._core.read_namespaced_pod_log, pod, self.namespace, container=container, follow=follow,
            timestamps=timestamps, _request_timeout=patience,
        )  # fmt: skip

    @cached_property
    def _core(self) -> Any:
        """The core group, for Pods, logs and ConfigMaps; imported late, since it takes a second."""
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self._client)

    def _until_gone(self, resource: Resource, name: str) -> Iterator[Obj]:
        """Give the object again and again, patient with a server that is away for a while."""
        while True:
            try:
                stored = self.patiently(lambda: self.get(resource, name))
            except NotFound:
                return
            yield stored

    def _place(self, resource: Resource) -> tuple[str, str, str, str]:
        return resource.group, resource.version, self.namespace, resource.plural

    def _collection(self, resource: Resource, everywhere: bool) -> tuple[Callable[..., Any], tuple[str, ...]]:
        if everywhere:
            return self._objects.list_cluster_custom_object, (resource.group, resource.version, resource.plural)
        return self._objects.list_namespaced_custom_object, self._place(resource)

    def _json(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Obj:
        """What a call answers, as it came."""
        body: bytes = self._call(call, *arguments, **options).data
        try:
            answer: Obj = orjson.loads(readable(body))
        except orjson.JSONDecodeError:
            raise ApiError(f"{self.host} answers something that is not JSON: {body[:80]!r}") from None
        return answer

    def _lines(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Iterator[bytes]:
        """The lines of what a call answers, as they come."""
        answer = self._call(call, *arguments, **options)
        try:
            rest = b""
            for chunk in answer.stream(2**16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
            if rest:
                yield rest
        except HTTPError as error:
            raise Unreachable(f"the answer of {self.host} broke off: {error}") from None
        finally:
            answer.close()

    def _call(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        options.setdefault("_request_timeout", (CONNECT_SECONDS, READ_SECONDS))
        try:
            answer = call(*arguments, **options, _preload_content=False)
        except ApiException as error:
            if not error.status:
                raise Unreachable(f"cannot reach {self.host}: {error.reason}") from None
            body = error.body if isinstance(error.body, bytes) else str(error.body or "").encode()
            raise from_response(error.status, body, error.headers or {}) from None
        except HTTPError as error:
            raise Unreachable(f"cannot reach {self.host}: {_cause(error)}") from None
        except (OSError, ValueError, kubernetes_config.ConfigException) as error:  # credentials, when they are renewed
            raise ApiError(f"cannot ask {self.host}: {error}") from None
        if answer.status >= 300:
            raise from_response(answer.status, answer.data, answer.headers)
        return answer


def connect(*, kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """Connect as kubectl would: by the kubeconfig, else as the Pod this runs in. Raises ApiError."""
    try:
        configuration, named, acting_as = read_kubeconfig(kubeconfig or os.environ.get("KUBECONFIG") or None, context)
    except NoKubeconfig:
        if kubeconfig or context or not _SERVICE_ACCOUNT_NAMESPACE.exists():
            raise
        configuration, named, acting_as = Configuration(), _SERVICE_ACCOUNT_NAMESPACE.read_text().strip(), ()
        kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    try:
        return Cluster(configuration, namespace or named or "default", acting_as=acting_as)
    except OSError as error:  # ssl's errors are of these: no certificate, a key of another one
        raise ApiError(f"no cluster to talk to: the credentials for {configuration.host} are broken: {error}") from None


def _pages(fetch: Callable[[dict[str, str]], Obj]) -> Objects:
    found: Objects = []
    more: dict[str, str] = {}
    while True:
        page = fetch(more)
        found += page["items"]
        token = page["metadata"].get("continue")
        if not token:
            return found
        more = {"_continue": token}


def _cause(error: HTTPError) -> str:
    """The last words of a chain of connection errors: Connection refused."""
    text = str(getattr(error, "reason", None) or error)
    return text.rpartition("] ")[2].rpartition(">: ")[2] or text
