import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.kube import lines
from weft.kube.lines import LineSplitter, LineTooLong


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b", b"c\n"], [b"abc"]),
        ([b"a\nb", b"c\nd"], [b"a", b"bc"]),
        ([b"\n\n", b"a\n\n"], [b"a"]),
        ([b"", b"a", b"", b"\n"], [b"a"]),
        ([b"unended"], []),
    ],
)
def test_lines_are_whole_however_the_chunks_fall(chunks, expected):
    splitter = LineSplitter()
    assert [line for chunk in chunks for line in splitter.feed(chunk)] == expected


@given(st.lists(st.binary(min_size=1, max_size=8).filter(lambda line: b"\n" not in line)), st.integers(1, 7))
def test_cutting_a_stream_anywhere_changes_no_line(expected, size):
    stream = b"".join(line + b"\n" for line in expected)
    splitter = LineSplitter()
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [line for chunk in chunks for line in splitter.feed(chunk)] == expected


def test_a_line_without_an_end_is_refused_at_its_limit(monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 10)
    splitter = LineSplitter()
    assert splitter.feed(b"123456\n1234567890") == [b"123456"]
    with pytest.raises(LineTooLong):
        splitter.feed(b"x")


def test_a_line_of_many_mebibytes_passes():
    splitter = LineSplitter()
    for _ in range(160):
        assert splitter.feed(b"x" * 65536) == []
    (line,) = splitter.feed(b"\n")
    assert len(line) == 160 * 65536
