"""An image is built anew when what goes into it changes, and only then."""

from pathlib import Path

import pytest

from hack.cluster import images
from hack.cluster.kind import new_enough


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "operator" / "weft").mkdir(parents=True)
    (tmp_path / "operator" / "weft" / "a.py").write_text("a")
    (tmp_path / "pyproject.toml").write_text("p")
    return tmp_path


def key(tree: Path) -> str:
    return images.key("base", [tree / "operator", tree / "pyproject.toml"])


def test_the_key_follows_content_names_and_base(tree: Path) -> None:
    keys = [key(tree)]
    (tree / "operator" / "weft" / "a.py").write_text("b")
    keys.append(key(tree))
    (tree / "operator" / "weft" / "a.py").rename(tree / "operator" / "weft" / "b.py")
    keys.append(key(tree))
    keys.append(images.key("another base", [tree / "operator", tree / "pyproject.toml"]))
    assert len(set(keys)) == 4


def test_what_python_leaves_behind_does_not_count(tree: Path) -> None:
    before = key(tree)
    (tree / "operator" / "weft" / "__pycache__").mkdir()
    (tree / "operator" / "weft" / "__pycache__" / "a.pyc").write_text("x")
    (tree / "operator" / "weft.egg-info").mkdir()
    (tree / "operator" / "weft.egg-info" / "PKG-INFO").write_text("x")
    assert key(tree) == before


@pytest.mark.parametrize("image", images.IMAGES, ids=lambda image: image.name)
def test_everything_an_image_is_built_from_exists(image: images.Image) -> None:
    assert image.dockerfile.exists()
    assert all(path.exists() for path in image.requirements)


@pytest.mark.parametrize(
    ("major", "minor", "enough"), [("1", "31", False), ("1", "32", True), ("1", "35+", True), ("2", "0", True)]
)
def test_kinds_kubernetes_must_know_managed_jobs(major: str, minor: str, enough: bool) -> None:
    assert new_enough(major, minor) is enough
