"""The API server in memory keeps every contract that the real one keeps (tests/e2e/test_api_contract.py)."""

import pytest
from support.clock import VirtualClock
from support.contract import CONTRACTS, Contract
from support.fakeapi import FakeApi


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
async def test_the_fake_api_server_keeps(contract: Contract) -> None:
    clock = VirtualClock()
    await clock.run(contract(FakeApi(clock=clock).client(), "n"))
