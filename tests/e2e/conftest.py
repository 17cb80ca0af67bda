"""The cluster of `make cluster`, Weft installed in it by helm, and namespaces that go away afterwards."""

# ruff: noqa: E402 (asserts are rewritten only in modules that are imported after pytest has been told)

from __future__ import annotations

import fcntl
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("e2e.harness", "e2e.scenarios")
sys.path.append(str(Path(__file__).resolve().parents[2]))  # for hack, which is not installed

from e2e.harness.api import Api
from e2e.harness.chronicle import Chronicle
from e2e.harness.machine import Machine
from e2e.harness.operator import Operator, Reaper
from e2e.harness.place import Cluster, Place
from e2e.harness.receiver import Receiver

DELETION_SECONDS = 120.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured, one JSON line each: figures to look at, not to fail for."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    figures = [value for report in reports for name, value in report.user_properties if name == "measured"]
    if figures:
        terminalreporter.section("measured")
    for each in figures:
        terminalreporter.write_line(json.dumps(each))


@pytest.fixture(scope="session")
def alone() -> Iterator[None]:
    """Wait for other sessions on this cluster: two would kill and configure each other's operator."""
    cluster = os.environ.get("KUBECONFIG", "").strip("/").replace("/", "-")
    with (Path(tempfile.gettempdir()) / f"weft-e2e-{cluster}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def cluster(alone: None) -> Cluster:
    missing = [name for name in ("KUBECONFIG", "WEFT_KUBECTL", "WEFT_HELM", "WEFT_IMAGE") if name not in os.environ]
    if missing:
        pytest.fail(f'{", ".join(missing)} not set: run make e2e, or eval "$(python3 hack/cluster env)"')
    api = Api()
    return Cluster(api, Chronicle(api), os.environ["WEFT_KUBECTL"])


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> Iterator[Operator]:
    """Weft, installed once; a test that changes it puts it back by calling `install()` again. It stays installed."""
    operator = Operator(cluster, os.environ["WEFT_HELM"], os.environ["WEFT_IMAGE"])
    operator.install()
    yield operator
    Reaper(cluster).remove()


@pytest.fixture
def machine(cluster: Cluster) -> Iterator[Machine]:
    """The node below the cluster, for who wants to kill its components; the tests that follow do not see that."""
    found = Machine.of_this_cluster()
    if found is None:
        pytest.skip("kind keeps the components inside its own container, where they cannot be killed one by one")
    yield found
    found.reconnect()


@pytest.fixture(scope="session")
def make_place(cluster: Cluster, operator: Operator) -> Iterator[Callable[[str], Place]]:
    """Makes namespaces; at the end all must go, which they do only when nothing in them is stuck."""
    places: list[Place] = []

    def make(word: str) -> Place:
        places.append(cluster.namespace(word))
        return places[-1]

    yield make
    operator.install()
    for place in places:
        place.delete()
    names = [place.name for place in places]
    if names:
        words = [f"namespace/{name}" for name in names]
        cluster.kubectl("wait", "--for=delete", f"--timeout={DELETION_SECONDS:.0f}s", *words)


@pytest.fixture
def place(make_place: Callable[[str], Place], request: pytest.FixtureRequest) -> Iterator[Place]:
    """A namespace of the test's own."""
    made = make_place(request.node.originalname.removeprefix("test_").replace("_", "-")[:40])
    yield made
    made.delete()


@pytest.fixture(scope="session")
def receiver(cluster: Cluster, make_place: Callable[[str], Place]) -> Receiver:
    """An HTTP server that both notifications and http nodes call."""
    cluster.receiver = Receiver(cluster, make_place("receiver").name, os.environ["WEFT_EXAMPLES_IMAGE"])
    cluster.receiver.start()
    return cluster.receiver
