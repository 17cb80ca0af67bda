"""Just enough of protobuf's wire format to read one message without its schema's code."""

from collections.abc import Iterator
from typing import Any

_64_BITS = (1 << 64) - 1


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, int or bytes) of one protobuf message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
                continue
            case 1:
                end = at + 8
            case 2:
                length, at = _varint(data, at)
                end = at + length
            case wire:
                raise ValueError(f"wire type {wire} is not in use")
        yield tag >> 3, data[at:end]
        at = end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & _64_BITS, at
        shift += 7


def packed(data: bytes) -> Iterator[int]:
    """The numbers of a packed repeated field."""
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def first(data: bytes, number: int, default: Any) -> Any:
    """The first value of a field, or `default`."""
    return next((value for field, value in fields(data) if field == number), default)


def every(data: bytes, number: int) -> list[Any]:
    """All values of a repeated field."""
    return [value for field, value in fields(data) if field == number]


def text_of(data: bytes, number: int) -> str:
    """The value of a string field; "" if it is not set."""
    return str(first(data, number, b""), "utf-8")
