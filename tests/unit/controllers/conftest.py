"""What the tests of the whole operator share."""

from collections.abc import AsyncIterator

import pytest
from support.rig import Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A cluster without an operator."""
    rig = Rig()
    yield rig
    await rig.close()
