"""Cuts a stream of chunks into lines, without copying a long line again for each of its chunks."""

MAX_LINE_BYTES = 32 * 1024 * 1024
"""Far above what the API server stores (1.5 MiB); a line beyond it is a broken stream, not an object."""


class LineTooLong(ValueError):
    """The stream sent more than `MAX_LINE_BYTES` without a line's end."""


class LineSplitter:
    """Takes chunks as they come and gives the lines they complete, without their ends and without empty ones."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Give the lines that end in this chunk. Raises LineTooLong."""
        first, *others = chunk.split(b"\n")
        self._keep(first)
        if not others:
            return []
        lines = [b"".join(self._parts), *others[:-1]]
        self._parts, self._size = [], 0
        self._keep(others[-1])
        return [line for line in lines if line]

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > MAX_LINE_BYTES:
            raise LineTooLong(f"a line of more than {MAX_LINE_BYTES} bytes")
