"""A list of JSON objects that is held as compressed text until somebody reads it: a tenth of the memory or less."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, overload

import orjson

from weft.api.objects import Obj, Objects

_LEVEL = 1
"""The cheapest: what repeats here (keys, phases, dates) it finds nevertheless."""


class Packed(Sequence[Obj]):
    """Reads like the list it was made from; whoever reads gets objects of his own, made anew each time."""

    __slots__ = ("_length", "_text")

    def __init__(self, objects: Sequence[Obj]) -> None:
        """Take the objects, which must be JSON."""
        self._length = len(objects)
        self._text = zlib.compress(orjson.dumps(list(objects)), _LEVEL)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Obj]:
        return iter(self._read())

    @overload
    def __getitem__(self, index: int) -> Obj: ...

    @overload
    def __getitem__(self, index: slice) -> Objects: ...

    def __getitem__(self, index: int | slice) -> Any:
        return self._read()[index]

    def _read(self) -> Objects:
        read: Objects = orjson.loads(zlib.decompress(self._text))
        return read
