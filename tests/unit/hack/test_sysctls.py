"""Kernel settings that a kubelet changes are put back."""

from pathlib import Path

from hack.cluster import sysctls


def test_what_changed_is_put_back_and_the_rest_is_not_written(tmp_path: Path) -> None:
    panic, memory = tmp_path / "kernel" / "panic", tmp_path / "vm" / "overcommit_memory"
    for file, value in ((panic, "1\n"), (memory, "0\n")):
        file.parent.mkdir()
        file.write_text(value)
    sysctls.remember(tmp_path / "remembered", proc=tmp_path)
    panic.write_text("10\n")
    sysctls.restore(tmp_path / "remembered", proc=tmp_path)
    assert panic.read_text() == "1"
    assert memory.read_text() == "0\n"


def test_without_a_record_nothing_is_written(tmp_path: Path) -> None:
    sysctls.restore(tmp_path / "absent", proc=tmp_path)
    assert list(tmp_path.iterdir()) == []
