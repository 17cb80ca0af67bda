"""A podTemplate is merged as Kubernetes people expect: by key, null deletes, nothing given is changed."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.render.merge import merge, stack

scalars = st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["a", "b"])


def named(items: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    keyed = st.tuples(st.sampled_from(["x", "y", "z"]), items).map(lambda pair: {**pair[1], "name": pair[0]})
    return st.lists(keyed, max_size=3, unique_by=lambda item: item["name"])


objects = st.recursive(
    st.dictionaries(st.sampled_from(["k", "l"]), scalars),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={"k": inner, "l": scalars, "containers": named(inner), "env": named(inner), "args": st.lists(scalars)},
    ),
    max_leaves=8,
)


@given(objects)
def test_an_empty_overlay_changes_nothing(base: dict[str, Any]) -> None:
    assert merge(base, {}) == base


@given(objects, objects)
def test_an_overlay_laid_twice_is_as_one_laid_once(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    once = merge(base, overlay)
    assert merge(once, overlay) == once


@given(objects, objects)
def test_what_is_given_is_not_changed(base: dict[str, Any], overlay: dict[str, Any]) -> None:
    before = deepcopy((base, overlay))
    merge(base, overlay)
    assert (base, overlay) == before


@pytest.mark.parametrize(
    ("base", "overlay", "merged"),
    [
        pytest.param({"a": 1}, {"b": {"c": 2}}, {"a": 1, "b": {"c": 2}}, id="a new field"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}, id="null deletes"),
        pytest.param({}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}, id="null deletes what is not there"),
        pytest.param({"a": [1]}, {"a": [2]}, {"a": [2]}, id="a plain list replaces"),
        pytest.param(
            {"tolerations": [{"key": "a"}]},
            {"tolerations": [{"key": "b"}]},
            {"tolerations": [{"key": "b"}]},
            id="tolerations have no name and replace",
        ),
        pytest.param(
            {"containers": [{"name": "main", "image": "a", "tty": True}]},
            {"containers": [{"name": "proxy", "image": "p"}, {"name": "main", "image": "b"}]},
            {"containers": [{"name": "main", "image": "b", "tty": True}, {"name": "proxy", "image": "p"}]},
            id="containers merge by name, new ones come last",
        ),
        pytest.param(
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"env": [{"name": "A", "valueFrom": {"x": 1}}]},
            {"env": [{"name": "A", "valueFrom": {"x": 1}}, {"name": "B", "value": "2"}]},
            id="a variable has one source",
        ),
        pytest.param(
            {"volumes": [{"name": "v", "emptyDir": {}}]},
            {"volumes": [{"name": "v", "configMap": {"name": "c"}}]},
            {"volumes": [{"name": "v", "configMap": {"name": "c"}}]},
            id="a volume has one source",
        ),
        pytest.param(
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}]},
            {"volumeMounts": [{"name": "w", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
            {"volumeMounts": [{"name": "w", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
            id="mounts merge by mountPath",
        ),
        pytest.param(
            {"ports": [{"containerPort": 53, "protocol": "UDP"}]},
            {
                "ports": [
                    {"containerPort": 53, "protocol": "TCP"},
                    {"containerPort": 53, "protocol": "UDP", "name": "d"},
                ]
            },
            {
                "ports": [
                    {"containerPort": 53, "protocol": "UDP", "name": "d"},
                    {"containerPort": 53, "protocol": "TCP"},
                ]
            },
            id="ports merge by port and protocol",
        ),
        pytest.param(
            {"initContainers": [{"name": "a"}, {"name": "b"}]},
            {"initContainers": [{"name": "a", "$patch": "delete"}]},
            {"initContainers": [{"name": "b"}]},
            id="$patch: delete removes an item",
        ),
    ],
)
def test_merging(base: dict[str, Any], overlay: dict[str, Any], merged: dict[str, Any]) -> None:
    assert merge(base, overlay) == merged


@pytest.mark.parametrize(
    ("built", "lower", "upper", "merged"),
    [
        pytest.param({"a": {"b": 1}}, {}, {"a": {"b": None}}, {"a": {}}, id="null of the upper one"),
        pytest.param({"a": 1, "c": 2}, {"a": None}, {"b": 1}, {"c": 2, "b": 1}, id="null of the lower one"),
        pytest.param({"a": 1}, {"a": None}, {"a": 2}, {"a": 2}, id="set again"),
        pytest.param(
            {"volumes": [{"name": "v"}, {"name": "w"}]},
            {"volumes": [{"name": "w", "emptyDir": {}}]},
            {"volumes": [{"name": "v", "$patch": "delete"}]},
            {"volumes": [{"name": "w", "emptyDir": {}}]},
            id="$patch: delete of the upper one",
        ),
        pytest.param(
            {"initContainers": [{"name": "a", "tty": True}]},
            {"initContainers": [{"name": "a", "$patch": "delete"}]},
            {"initContainers": [{"name": "b"}]},
            {"initContainers": [{"name": "b"}]},
            id="$patch: delete of the lower one",
        ),
    ],
)
def test_two_overlays_are_one(built: Any, lower: Any, upper: Any, merged: Any) -> None:
    assert merge(built, stack(lower, upper)) == merge(merge(built, lower), upper) == merged
