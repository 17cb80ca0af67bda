import random
from collections import Counter
from typing import Any

from weft.notify.slots import Slots


def test_a_channel_has_so_many_and_the_next_comes_when_one_is_given_back() -> None:
    slots: Slots[Any] = Slots(per_namespace=8, per_channel=2)

    assert [slots.take("n", "ops", key) for key in "abcd"] == [True, True, False, False]
    assert slots.give_back("n", "ops") == "c"
    assert slots.take("n", "ops", "c"), "its slot is kept for it"
    assert not slots.take("n", "ops", "e")
    assert [slots.give_back("n", "ops") for _ in "abcd"] == ["d", "e", None, None]


def test_a_namespace_has_so_many_over_all_its_channels_and_others_have_their_own() -> None:
    slots: Slots[Any] = Slots(per_namespace=3, per_channel=2)

    assert [slots.take("n", channel, channel) for channel in "abcd"] == [True, True, True, False]
    assert slots.take("m", "a", "m's")
    assert slots.give_back("m", "a") is None, "who waits in n waits for n"
    assert slots.give_back("n", "b") == "d"


def test_a_full_channel_keeps_no_other_of_its_namespace_waiting() -> None:
    slots: Slots[Any] = Slots(per_namespace=3, per_channel=2)
    taken = [slots.take("n", "slow", f"s{number}") for number in range(9)] + [slots.take("n", "a", "a1")]
    waiting = [slots.take("n", "a", "a2"), slots.take("n", "b", "b1")]

    assert (taken.count(True), waiting) == (3, [False, False])
    assert slots.give_back("n", "a") == "a2"
    assert slots.take("n", "a", "a2")
    assert slots.give_back("n", "a") == "b1"


def test_channels_take_turns() -> None:
    slots: Slots[Any] = Slots(per_namespace=1, per_channel=1)
    slots.take("n", "x", "first")
    for key in ("x1", "x2", "x3", "y1", "z1", "z2"):
        slots.take("n", key[0], key)
    order: list[str] = []
    channel = "x"
    while (woken := slots.give_back("n", channel)) is not None:
        order.append(woken)
        channel = woken[0]
        assert slots.take("n", channel, woken)

    assert order == ["x1", "y1", "z1", "x2", "z2", "x3"]


def test_whatever_comes_and_goes_all_are_served_within_the_bounds_and_nothing_is_kept() -> None:
    for seed in range(200):
        rng = random.Random(seed)
        slots: Slots[int] = Slots(per_namespace=5, per_channel=2)
        todo = [(rng.choice("mn"), rng.choice("abcd"), number) for number in range(60)]
        flying: list[tuple[str, str, int]] = []
        place = {number: (namespace, channel) for namespace, channel, number in todo}
        served = 0
        while todo or flying:
            if todo and rng.random() < 0.6:
                namespace, channel, number = todo.pop()
                if slots.take(namespace, channel, number):
                    flying.append((namespace, channel, number))
            elif flying:
                namespace, channel, _ = flying.pop(rng.randrange(len(flying)))
                served += 1
                woken = slots.give_back(namespace, channel)
                if woken is not None:
                    todo.append((*place[woken], woken))
            assert max(Counter(namespace for namespace, _, _ in flying).values(), default=0) <= 5
            assert max(Counter(item[:2] for item in flying).values(), default=0) <= 2
        assert served == 60
        assert not any(vars(slots)[name] for name in ("_waiting", "_taken", "_granted"))
