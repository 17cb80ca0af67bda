"""What happens in the cluster, written down as it happens.

A thread per resource follows a watch. Tests wait for news instead of asking again and again, and can look back:
objects that are deleted since, and how many Pods ran at any one moment, are in the journal. An API server that is
killed interrupts it for as long as the server is away, and what happened meanwhile is found by listing anew.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from e2e.harness.api import Api, Obj, Refused
from urllib3.exceptions import HTTPError

PREFIX = "e2e-"
"""Namespaces of the tests begin with it; others are not followed."""

AWAY_SECONDS = 60.0
"""For so long the API server may not answer; it is killed in some tests, and comes back."""

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One event: its type (ADDED, MODIFIED, DELETED), the object, and when we heard of it by the wall clock."""

    type: str
    obj: Obj
    at: float


_FOLLOWED = {
    "Run": ("/apis/weft.dev/v1alpha1/workflowruns", {}),
    "Workflow": ("/apis/weft.dev/v1alpha1/workflows", {}),
    "Job": ("/apis/batch/v1/jobs", {"labelSelector": "app.kubernetes.io/managed-by=weft"}),
    "Pod": ("/api/v1/pods", {"labelSelector": "app.kubernetes.io/managed-by=weft"}),
    "Event": ("/apis/events.k8s.io/v1/events", {}),
}


class Chronicle:
    """Follows runs, Workflows, Jobs, Pods and events of the tests' namespaces."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._news = threading.Condition()
        self._journals: dict[tuple[str, str], list[Entry]] = defaultdict(list)  # by kind and namespace
        self._ever: dict[tuple[str, str], dict[str, Obj]] = defaultdict(dict)  # the same, and by UID
        self._latest: dict[tuple[str, str, str], Obj] = {}
        self.failure: BaseException | None = None
        for kind in _FOLLOWED:
            threading.Thread(target=self._follow, args=(kind,), name=f"follow-{kind}", daemon=True).start()

    def latest(self, kind: str, namespace: str, name: str) -> Obj | None:
        """The object as last seen; None when it is not there (any more)."""
        with self._news:
            return self._latest.get((kind, namespace, name))

    def journal(self, kind: str, namespace: str) -> list[Entry]:
        """All that happened to objects of one kind in a namespace."""
        with self._news:
            return list(self._journals[kind, namespace])

    def ever(self, kind: str, namespace: str) -> list[Obj]:
        """Every object of a kind that ever was in a namespace, as last seen, the oldest first."""
        with self._news:
            return list(self._ever[kind, namespace].values())

    def seen(self, kind: str, namespace: str, uid: str) -> Obj:
        """One object as last seen, even when it has gone since; {} when it was never seen."""
        with self._news:
            return self._ever[kind, namespace].get(uid, {})

    def wait(self, look: Callable[[], T | None], *, seconds: float, complain: Callable[[], str]) -> T:
        """Wait until `look` gives something true, asking at every news; AssertionError when time is up."""
        until = time.monotonic() + seconds
        with self._news:
            while True:
                if self.failure is not None:
                    raise AssertionError("the tests lost sight of the cluster") from self.failure
                found = look()
                if found:
                    return found
                left = until - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {seconds:.0f} s: {complain()}")
                self._news.wait(left)

    def _follow(self, kind: str) -> None:
        try:
            for type_, obj in self._events(kind):
                with self._news:
                    self._note(type_, kind, obj)
                    self._news.notify_all()
        except BaseException as error:
            with self._news:
                self.failure = error
                self._news.notify_all()
            raise

    def _events(self, kind: str) -> Iterator[tuple[str, Obj]]:
        path, query = _FOLLOWED[kind]
        while True:
            listed = self._list(path, query)
            before = {obj["metadata"]["uid"]: obj for obj in self._known(kind)}
            there = {obj["metadata"]["uid"]: obj for obj in listed["items"]}
            yield from (("DELETED", obj) for uid, obj in before.items() if uid not in there)
            for uid, obj in there.items():
                if _version(obj) != _version(before.get(uid)):
                    yield "MODIFIED" if uid in before else "ADDED", obj
            yield from self._changes(kind, listed["metadata"]["resourceVersion"])

    def _list(self, path: str, query: dict[str, str]) -> Obj:
        """The objects there are, as soon as the API server knows their kind: the CRDs come with the chart."""
        patience = _Patience()
        while True:
            try:
                return self._api.get(path, **query)
            except Refused as refused:
                if refused.code == 404:
                    time.sleep(0.5)
                else:
                    patience.bear(refused)
            except HTTPError as error:
                patience.bear(error)

    def _changes(self, kind: str, version: str) -> Iterator[tuple[str, Obj]]:
        """What follows on a list, until a new one is needed: watches do not reach back for ever."""
        path, query = _FOLLOWED[kind]
        patience = _Patience()
        while True:
            try:
                for type_, obj in self._api.watch(path, version, **query):
                    if type_ == "ERROR" and (obj["code"] == 410 or obj["code"] >= 500):
                        return
                    if type_ == "ERROR":
                        raise RuntimeError(f"the watch of {kind} ended: {obj}")
                    version = obj["metadata"]["resourceVersion"]
                    patience = _Patience()
                    yield type_, obj
            except Refused as refused:
                if refused.code == 410:
                    return
                patience.bear(refused)
            except HTTPError as error:
                patience.bear(error)

    def _known(self, kind: str) -> list[Obj]:
        with self._news:
            return [obj for (each, _, _), obj in self._latest.items() if each == kind]

    def _note(self, type_: str, kind: str, obj: Obj) -> None:
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        if not namespace.startswith(PREFIX):
            return
        self._journals[kind, namespace].append(Entry(type_, obj, time.time()))
        self._ever[kind, namespace][obj["metadata"]["uid"]] = obj
        if type_ == "DELETED":
            self._latest.pop((kind, namespace, name), None)
        else:
            self._latest[kind, namespace, name] = obj


class _Patience:
    """Bears it that the API server is away or not yet itself, for a while."""

    def __init__(self) -> None:
        self._since: float | None = None

    def bear(self, error: Refused | HTTPError) -> None:
        """Wait a little after an error; raises it when it is the server's answer, or has lasted too long."""
        now = time.monotonic()
        self._since = self._since or now
        if now - self._since > AWAY_SECONDS or (isinstance(error, Refused) and error.code < 500 and error.code != 429):
            raise error
        time.sleep(0.2)


def _version(obj: Obj | None) -> str | None:
    version: str | None = obj["metadata"]["resourceVersion"] if obj is not None else None
    return version
