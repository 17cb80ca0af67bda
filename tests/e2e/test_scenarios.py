"""Every scenario in calm, with the operator killed at random moments, and with the built-in Job controller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from e2e.harness.operator import Operator
from e2e.harness.place import Place
from e2e.harness.receiver import Receiver
from e2e.harness.stage import SCENARIOS, performed, performed_and_killed
from e2e.scenarios import basics, bodies, clocks, controls, decisions, endings, housekeeping, nested, sharing

Round = dict[str, "Future[None]"]

# Importing the modules has filled the table.
_MODULES = (basics, bodies, clocks, controls, decisions, endings, housekeeping, nested, sharing)
assert all(module.__name__ for module in _MODULES)


def _chosen(request: pytest.FixtureRequest, test: str) -> list[str]:
    """The scenarios of a test that this session runs: all, or those that -k leaves."""
    items = [item for item in request.session.items if getattr(item, "originalname", "") == test]
    return [item.callspec.params["name"] for item in items]


@pytest.fixture(scope="module")
def calm(
    request: pytest.FixtureRequest, operator: Operator, make_place: Callable[[str], Place], receiver: Receiver
) -> Iterator[Round]:
    with performed(make_place("calm"), _chosen(request, "test_calm")) as futures:
        yield futures


@pytest.fixture(scope="module")
def builtin(request: pytest.FixtureRequest, operator: Operator, make_place: Callable[[str], Place]) -> Iterator[Round]:
    operator.install(jobController="builtin")
    with performed(make_place("builtin"), _chosen(request, "test_builtin")) as futures:
        yield futures
    operator.install()


@pytest.fixture(scope="module")
def killed(
    request: pytest.FixtureRequest, operator: Operator, make_place: Callable[[str], Place], receiver: Receiver
) -> Round:
    operator.install()
    return performed_and_killed(lambda: make_place("killed"), _chosen(request, "test_killed"), operator)


@pytest.mark.parametrize("name", SCENARIOS)
def test_calm(name: str, calm: Round) -> None:
    calm[name].result()


@pytest.mark.parametrize("name", [each.name for each in SCENARIOS.values() if each.builtin])
def test_builtin(name: str, builtin: Round) -> None:
    builtin[name].result()


@pytest.mark.parametrize("name", [each.name for each in SCENARIOS.values() if each.killed])
def test_killed(name: str, killed: Round) -> None:
    killed[name].result()
