"""Names are valid and tell attempts apart; identities survive the trip through an annotation."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.engine.state import AttemptId
from weft.render.names import (
    Identity,
    RunRef,
    bears_identity,
    child_labels,
    identity_text,
    is_reserved,
    job_name,
    label_value,
    parse_identity,
)

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
RUN = RunRef(namespace="shop", name="listing-x7k2p", uid="uid-1", workflow="listing")

node_names = st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
steps = st.tuples(node_names, st.none() | st.integers(0, 9999)).map(
    lambda step: step[0] if step[1] is None else f"{step[0]}[{step[1]}]"
)
paths = st.lists(steps, min_size=1, max_size=8).map("/".join)
run_names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)
numbers = st.none() | st.integers(0, 100_000)
attempts = st.builds(
    AttemptId, paths, numbers, numbers, st.sampled_from(["main", "compensate"]), st.integers(1, 100_000)
)


def run(name: str, uid: str = "uid-1") -> RunRef:
    return RunRef(namespace="shop", name=name, uid=uid, workflow="listing")


@given(run_names, attempts)
def test_a_job_name_leaves_room_for_its_pod_in_a_dns_label(name: str, attempt: AttemptId) -> None:
    assert DNS_LABEL.fullmatch(job_name(run(name), attempt) + "-abcde")


@given(attempts, attempts)
def test_two_attempts_have_two_names(one: AttemptId, other: AttemptId) -> None:
    assert (job_name(RUN, one) == job_name(RUN, other)) == (one == other)


@pytest.mark.parametrize(
    ("attempt", "start"),
    [
        (AttemptId("scrape", None, None, "main", 1), "listing-x7k2p-scrape-"),
        (AttemptId("price", 3, None, "main", 1), "listing-x7k2p-price-3-"),
        (AttemptId("poll", None, 2, "main", 1), "listing-x7k2p-poll-2-"),
        (AttemptId("price[3]/step", None, None, "main", 1), "listing-x7k2p-price-3-step-"),
    ],
)
def test_a_job_name_is_readable(attempt: AttemptId, start: str) -> None:
    assert re.fullmatch(re.escape(start) + "[a-z2-7]{10}", job_name(RUN, attempt))


def test_long_names_keep_the_beginning_of_the_run_and_the_end_of_the_node() -> None:
    attempt = AttemptId("prepare-everything-there-is/upload-to-the-shop", None, None, "main", 1)
    name = job_name(run("nightly-import-of-all-products-of-all-suppliers"), attempt)
    assert name.startswith("nightly-import-")
    assert "-upload-to-the-shop-" in name
    assert len(name) <= 57


def test_a_run_made_again_under_its_name_has_other_jobs() -> None:
    attempt = AttemptId("scrape", None, None, "main", 1)
    assert job_name(run("r", "uid-1"), attempt) != job_name(run("r", "uid-2"), attempt)


def test_names_stay_what_they_were() -> None:
    """A release that names Jobs otherwise would start running attempts a second time."""
    assert job_name(RUN, AttemptId("price", 3, None, "main", 2)) == "listing-x7k2p-price-3-nxmafnt3co"


@given(paths | run_names)
def test_label_values_are_valid(text: str) -> None:
    assert LABEL_VALUE.fullmatch(label_value(text))


@given(st.text(max_size=300))
def test_label_values_are_valid_whatever_is_put_in(text: str) -> None:
    assert LABEL_VALUE.fullmatch(label_value(text))


@given(paths, paths)
def test_two_paths_have_two_labels(one: str, other: str) -> None:
    assert (label_value(one) == label_value(other)) == (one == other)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("scrape", "scrape"),
        ("publish/upload", "publish.upload"),
        ("price[3]/step", "price.3.step"),
        ("price[3].compensate/step", "price.3.compensate.step"),
        ("", ""),
    ],
)
def test_a_path_as_a_label(path: str, value: str) -> None:
    assert label_value(path) == value


def test_every_child_has_the_labels_of_the_design() -> None:
    assert child_labels(RUN, "publish/upload", 2) == {
        "weft.dev/workflow": "listing",
        "weft.dev/run": "listing-x7k2p",
        "weft.dev/node": "publish.upload",
        "weft.dev/attempt": "2",
        "app.kubernetes.io/managed-by": "weft",
    }


@given(st.text(st.characters(exclude_categories=["Cs"])), attempts)
def test_an_identity_reads_back_as_the_attempt(uid: str, attempt: AttemptId) -> None:
    assert parse_identity(identity_text(uid, attempt)) == (uid, attempt)


def test_an_identity_is_a_compact_array() -> None:
    attempt = AttemptId("price", 3, None, "main", 1)
    assert identity_text("uid-1", attempt) == '["uid-1","price",3,null,"main",1]'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{}",
        "[]",
        "3",
        "null",
        '["u","p",null,null,"main"]',
        '["u","p",null,null,"main","1"]',
        '["u","p",true,null,"main",1]',
        '[1,"p",null,null,"main",1]',
    ],
)
def test_what_somebody_else_wrote_is_no_identity(text: str) -> None:
    assert parse_identity(text) is None


ATTEMPT: Identity = AttemptId("price", 3, None, "main", 1)


@pytest.mark.parametrize(
    ("metadata", "same"),
    [
        ({"annotations": {"weft.dev/identity": identity_text("uid-1", ATTEMPT)}}, False),
        ({"ownerReferences": [{"uid": "uid-1"}]}, False),
        (
            {
                "annotations": {"weft.dev/identity": identity_text("uid-1", ATTEMPT)},
                "ownerReferences": [{"uid": "uid-1"}],
            },
            True,
        ),
        (
            {
                "annotations": {"weft.dev/identity": identity_text("uid-1", (*ATTEMPT[:4], 2))},
                "ownerReferences": [{"uid": "uid-1"}],
            },
            False,
        ),
        (
            {
                "annotations": {"weft.dev/identity": identity_text("uid-1", ATTEMPT)},
                "ownerReferences": [{"uid": "uid-0"}],
            },
            False,
        ),
    ],
)
def test_a_job_found_under_the_name_is_ours_by_identity_and_owner(metadata: dict[str, Any], same: bool) -> None:
    assert bears_identity({"metadata": metadata}, "uid-1", ATTEMPT) is same


@pytest.mark.parametrize(
    ("key", "reserved"),
    [
        ("weft.dev/run", True),
        ("queue.weft.dev/x", True),
        ("app.kubernetes.io/managed-by", True),
        ("app.kubernetes.io/name", False),
        ("notweft.dev/x", False),
        ("team", False),
    ],
)
def test_whose_a_key_is(key: str, reserved: bool) -> None:
    assert is_reserved(key) is reserved
