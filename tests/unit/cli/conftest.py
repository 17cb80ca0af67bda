from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result
from kubernetes.client import Configuration
from support.apiserver import ApiServer, serve
from support.fakeapi import FakeApi
from weft.cli.cluster import Cluster
from weft.cli.main import weft
from weft.cli.session import Session


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def server(api: FakeApi) -> Iterator[ApiServer]:
    with serve(api) as running:
        yield running


@pytest.fixture
def call(server: ApiServer, tmp_path) -> Callable[..., Result]:
    """Call a command of weft against the server: call("status", "listing-1")."""
    kubeconfig = server.kubeconfig(tmp_path)

    def invoke(*words: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(weft, [*words, "--kubeconfig", kubeconfig], input=stdin)

    return invoke


@pytest.fixture
def waits() -> list[float]:
    """How long the session's cluster has waited, each time, instead of waiting."""
    return []


@pytest.fixture
def session(server: ApiServer, waits: list[float]) -> Session:
    """A session of the program, without a command line."""
    return Session(lambda: Cluster(Configuration(host=server.url), "shop", sleep=waits.append))
