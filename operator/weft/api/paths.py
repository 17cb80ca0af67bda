"""A node's path in a run, as statuses, labels and people write it: `publish/upload`, `price[3]/review`.

Each segment is the name of a node that runs a graph, the last one that of the node itself; a node in a loop is followed
by its position, and the graph of its compensation by `.compensate` (`price[3].compensate/refund`).
"""

import re

_POSITION = re.compile(r"\[(\d+)\]")


def plain_path(path: str) -> str:
    """Give a path without positions in loops: price/review for price[3]/review."""
    return _POSITION.sub("", path)


def place_of(path: str, index: int | None, iteration: int | None) -> str:
    """Give a path with the position in the node's own loop, if it is in one: price[3] for price."""
    position = index if index is not None else iteration
    return path if position is None else f"{path}[{position}]"


def positions(path: str) -> list[int]:
    """Give the positions in loops that a path tells, the outermost first."""
    return [int(number) for number in _POSITION.findall(path)]


def segment_name(segment: str) -> str:
    """Give what stands in a segment before the position: price for price[3]."""
    return segment.partition("[")[0]
