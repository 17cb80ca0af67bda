"""The fields of a Pod are written down as the official client has them."""

from typing import Any

import pytest

from hack import podschema


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(podschema.module(), names)
    return names


@pytest.mark.parametrize(
    ("kind", "field", "inner"),
    [
        pytest.param("V1PodTemplateSpec", "spec", "V1PodSpec", id="object"),
        pytest.param("V1PodSpec", "containers", "V1Container", id="list of objects"),
        pytest.param("V1PodSpec", "hostIPC", "", id="its name on the wire"),
        pytest.param("V1PodSpec", "nodeSelector", "", id="map of texts"),
        pytest.param("V1Container", "args", "", id="list of texts"),
        pytest.param("V1HTTPGetAction", "port", "", id="number or text"),
        pytest.param("V1ResourceRequirements", "claims", "CoreV1ResourceClaim", id="of one group"),
    ],
)
def test_each_field_has_the_type_of_what_it_holds(written: dict[str, Any], kind: str, field: str, inner: str) -> None:
    assert written["FIELDS"][kind][field] == inner


def test_every_type_that_is_named_is_there(written: dict[str, Any]) -> None:
    named = {kind for fields in written["FIELDS"].values() for kind in fields.values() if kind}
    assert named <= written["FIELDS"].keys()


def test_the_release_is_one_of_kubernetes(written: dict[str, Any]) -> None:
    major, minor = written["KUBERNETES"].split(".")
    assert (major, int(minor) >= 37) == ("1", True)
