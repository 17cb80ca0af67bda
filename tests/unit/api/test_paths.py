"""Paths of nodes, with positions in loops and without."""

import pytest
from weft.api.paths import place_of, plain_path, positions, segment_name


@pytest.mark.parametrize(
    ("path", "plain", "told"),
    [
        ("price", "price", []),
        ("price[3]/tag[0]", "price/tag", [3, 0]),
        ("price[3].compensate/refund", "price.compensate/refund", [3]),
    ],
)
def test_a_path_without_positions(path: str, plain: str, told: list[int]) -> None:
    assert plain_path(path) == plain
    assert positions(path) == told


def test_a_place_tells_the_position_in_the_nodes_own_loop() -> None:
    assert place_of("price", None, None) == "price"
    assert place_of("price", 3, None) == "price[3]"
    assert place_of("price", None, 0) == "price[0]"


def test_a_segment_begins_with_a_name() -> None:
    assert [segment_name(segment) for segment in ("price", "price[3]", "price[3].compensate")] == ["price"] * 3
