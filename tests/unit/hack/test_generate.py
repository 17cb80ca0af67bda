"""Generated files: written, compared, and leftovers of renamed ones removed."""

from pathlib import Path

import pytest

from hack import generate
from hack.generate import Generated, differences, write


def table(**texts: str) -> tuple[Generated, ...]:
    return (Generated("out/*.yaml", lambda: {f"out/{name}.yaml": text for name, text in texts.items()}),)


def test_written_files_do_not_differ(tmp_path: Path) -> None:
    assert write(tmp_path, table(a="1\n", b="2\n")) == ["out/a.yaml", "out/b.yaml"]
    assert (tmp_path / "out" / "a.yaml").read_text() == "1\n"
    assert differences(tmp_path, table(a="1\n", b="2\n")) == {}
    assert write(tmp_path, table(a="1\n", b="2\n")) == []


def test_a_difference_is_shown_as_what_to_change(tmp_path: Path) -> None:
    write(tmp_path, table(a="old\n"))
    assert "-old\n+new" in differences(tmp_path, table(a="new\n"))["out/a.yaml"]


def test_a_missing_file_is_a_difference(tmp_path: Path) -> None:
    assert "+text" in differences(tmp_path, table(a="text\n"))["out/a.yaml"]


def test_a_missing_empty_file_is_a_difference_too(tmp_path: Path) -> None:
    assert list(differences(tmp_path, table(a=""))) == ["out/a.yaml"]


def test_a_leftover_is_a_difference_and_goes(tmp_path: Path) -> None:
    write(tmp_path, table(a="1\n", b="2\n"))
    assert list(differences(tmp_path, table(a="1\n"))) == ["out/b.yaml"]
    write(tmp_path, table(a="1\n"))
    assert not (tmp_path / "out" / "b.yaml").exists()


def test_files_outside_the_pattern_are_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("by hand")
    write(tmp_path, table(a="1\n"))
    assert (tmp_path / "out" / "README.md").read_text() == "by hand"


def test_there_is_one_crd_file_per_kind() -> None:
    assert sorted(generate.crd_files("crds")) == [
        f"crds/weft.dev_{plural}.yaml"
        for plural in ("approvals", "nodetypes", "notificationchannels", "workflowqueues", "workflowruns", "workflows")
    ]


@pytest.mark.parametrize(("arguments", "code"), [(["--check"], 1), ([], 0)])
def test_the_exit_code_says_whether_something_differed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    monkeypatch.setattr(generate, "REPOSITORY", tmp_path)
    monkeypatch.setattr(generate, "GENERATED", table(a="1\n"))
    assert generate.main(arguments) == code
    assert "out/a.yaml" in capsys.readouterr().out
    assert (tmp_path / "out" / "a.yaml").exists() is (code == 0)
