"""The real API server keeps every contract that the one in memory keeps (tests/unit/support/)."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator

import pytest
from e2e.harness.place import Place
from support.contract import CONTRACTS, Contract
from weft.kube.client import Client
from weft.kube.clock import SystemClock
from weft.kube.config import Connection, load_configuration
from weft.kube.http import HttpTransport
from weft.kube.limiter import Limiter
from weft.metrics import Metrics


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    clock, metrics = SystemClock(), Metrics()
    connection = Connection(lambda: load_configuration(kubeconfig=os.environ["KUBECONFIG"]))
    transport = HttpTransport(connection, monotonic=clock.monotonic)
    limiter = Limiter(maximum=4, metrics=metrics)
    yield Client(transport, clock=clock, rng=random.Random(), metrics=metrics, limiter=limiter)
    await transport.close()


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
async def test_the_api_server_keeps(contract: Contract, client: Client, place: Place) -> None:
    await contract(client, place.name)
