"""What happens in the cluster, written down as it happens.

A thread per resource follows a watch. Tests wait for news instead of asking again and again, and can look back:
objects that are deleted since, and how many Pods ran at any one moment, are in the journal.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from e2e.harness.api import Api, Obj, Refused

PREFIX = "e2e-"
"""Namespaces of the tests begin with it; others are not followed."""

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One event: its type (ADDED, MODIFIED, DELETED) and the object."""

    type: str
    obj: Obj


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
            there = {obj["metadata"]["uid"] for obj in listed["items"]}
            yield from (("DELETED", obj) for obj in self._known(kind) if obj["metadata"]["uid"] not in there)
            yield from (("ADDED", obj) for obj in listed["items"])
            yield from self._changes(kind, listed["metadata"]["resourceVersion"])

    def _list(self, path: str, query: dict[str, str]) -> Obj:
        """The objects there are, as soon as the API server knows their kind: the CRDs come with the chart."""
        while True:
            try:
                return self._api.get(path, **query)
            except Refused as refused:
                if refused.code != 404:
                    raise
                time.sleep(0.5)

    def _changes(self, kind: str, version: str) -> Iterator[tuple[str, Obj]]:
        """What follows on a list, until the API server says that a new one is needed (after a CRD has changed)."""
        path, query = _FOLLOWED[kind]
        while True:
            for type_, obj in self._api.watch(path, version, **query):
                if type_ == "ERROR" and obj["code"] == 410:
                    return
                if type_ == "ERROR":
                    raise RuntimeError(f"the watch of {kind} ended: {obj}")
                version = obj["metadata"]["resourceVersion"]
                yield type_, obj

    def _known(self, kind: str) -> list[Obj]:
        with self._news:
            return [obj for (each, _, _), obj in self._latest.items() if each == kind]

    def _note(self, type_: str, kind: str, obj: Obj) -> None:
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        if not namespace.startswith(PREFIX):
            return
        self._journals[kind, namespace].append(Entry(type_, obj))
        self._ever[kind, namespace][obj["metadata"]["uid"]] = obj
        if type_ == "DELETED":
            self._latest.pop((kind, namespace, name), None)
        else:
            self._latest[kind, namespace, name] = obj
