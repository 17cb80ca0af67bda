"""Who holds which shard: a table for people, and what holds for any number of them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.kube.shards import shard_of, shares


def told(holders: str) -> dict[int, str]:
    """`aab-` reads: a holds 0 and 1, b holds 2, nobody holds 3."""
    return {shard: "" if holder == "-" else holder for shard, holder in enumerate(holders)}


@pytest.mark.parametrize(
    ("members", "holders", "wanted"),
    [
        ("", "----", "    "),  # nobody is there
        ("a", "----", "aaaa"),  # the first one takes them all
        ("a", "aaaa", "aaaa"),
        ("ab", "aaaa", "aabb"),  # a second one gets its half, and the first keeps the first half
        ("ab", "aa--", "aabb"),
        ("ab", "-a-a", "baba"),  # what somebody holds stays where it is
        ("ab", "aaaaa", "aaabb"),  # the odd one stays where it is
        ("ab", "aabbb", "aabbb"),
        ("ab", "bbbaa", "bbbaa"),
        ("a", "aabb", "aaaa"),  # b has died
        ("abc", "aaabbb", "aacbbc"),  # a third one takes one from each
        ("bc", "aabbcc", "bcbbcc"),  # a has left
        ("abc", "ab", "ab"),  # fewer shards than members: c stands by
        ("abc", "-b", "ab"),
        ("ab", "zzzz", "aabb"),  # a stranger's name in a Lease counts as nobody
    ],
)
def test_who_should_hold_what(members: str, holders: str, wanted: str) -> None:
    assert shares(members, told(holders)) == {shard: who for shard, who in told(wanted).items() if who != " "}


names = st.sampled_from([f"op-{number}" for number in range(6)])
holders_of = st.lists(st.one_of(st.just(""), names), max_size=24).map(lambda each: dict(enumerate(each)))
views = st.tuples(st.sets(names, min_size=1), holders_of)
View = tuple[set[str], dict[int, str]]


@given(views)
def test_every_shard_has_a_living_holder_and_nobody_has_two_more_than_another(view: View) -> None:
    members, holders = view
    assigned = shares(members, holders)
    assert assigned.keys() == holders.keys()
    count = Counter(dict.fromkeys(members, 0))
    count.update(assigned.values())
    assert count.keys() == members
    assert max(count.values()) - min(count.values()) <= 1


@given(views)
def test_no_more_moves_than_balance_needs(view: View) -> None:
    members, holders = view
    assigned = shares(members, holders)
    held = Counter(holder for holder in holders.values() if holder in members)
    least, more = divmod(len(holders), len(members))
    can_stay = sum(min(count, least) for count in held.values()) + min(more, sum(n > least for n in held.values()))
    assert sum(assigned[shard] == holder for shard, holder in holders.items()) == can_stay


@given(views)
def test_once_balanced_nothing_moves(view: View) -> None:
    members, holders = view
    assigned = shares(members, holders)
    assert shares(sorted(members), assigned) == assigned
    assert shares(sorted(members, reverse=True), assigned) == assigned


@given(views, st.randoms(use_true_random=False))
def test_moved_one_by_one_in_any_order_it_ends_balanced(view: tuple[set[str], dict[int, str]], order: object) -> None:
    """A hand-over is two steps, given back and taken, and everybody looks in between."""
    members, holders = view
    moves = 0
    while (wanted := shares(members, holders)) != holders:
        shard = order.choice([shard for shard in holders if holders[shard] != wanted[shard]])  # type: ignore[attr-defined]
        holders = holders | {shard: "" if holders[shard] in members else wanted[shard]}
        moves += 1
        assert moves <= 3 * len(holders)


@given(st.text(max_size=63), st.integers(0, 64))
def test_every_namespace_has_a_shard(namespace: str, count: int) -> None:
    assert 0 <= shard_of(namespace, count) < max(1, count)


def test_a_namespace_keeps_its_shard_in_every_version() -> None:
    """Two versions run side by side during an upgrade: were they to disagree, both would work on a namespace."""
    assert [shard_of(f"team-{number}", 8) for number in range(8)] == [6, 0, 2, 4, 3, 0, 6, 6]


def test_namespaces_are_spread() -> None:
    count = Counter(shard_of(f"team-{number}", 8) for number in range(4000))
    assert min(count.values()) > 400
