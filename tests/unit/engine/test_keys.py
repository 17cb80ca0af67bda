"""The table of concurrency keys. That nobody is ever lost is proved with the operator's, in controllers."""

import pytest
from weft.engine.keys import Answer, Keys


class Table:
    """Keys of letters; what a release does reads as "granted;lost"."""

    def __init__(self) -> None:
        self.keys: Keys[str, str] = Keys()

    def ask(self, holder: str, *, limit: int = 1, policy: str = "Queue", key: str = "k") -> str:
        answer, change = self.keys.acquire(key, holder, limit=limit, policy=policy)
        assert not change.granted
        return answer + "".join(f" -{lost}" for _, lost in change.lost)

    def give_back(self, *holders: str, key: str = "k") -> str:
        change = self.keys.release([(key, holder) for holder in holders])
        return " ".join([*(f"+{holder}" for _, holder in change.granted), *(f"-{holder}" for _, holder in change.lost)])

    @property
    def holding(self) -> str:
        return "".join(self.keys.holders("k"))


@pytest.fixture
def table() -> Table:
    return Table()


def test_a_key_is_granted_up_to_its_limit_and_then_in_turn(table: Table) -> None:
    assert [table.ask(holder, limit=2) for holder in "abcd"] == ["Granted", "Granted", "Queued", "Queued"]
    assert table.give_back("b") == "+c"
    assert table.give_back("a") == "+d"
    assert table.give_back("c") == ""
    assert table.holding == "d"


def test_keys_do_not_know_each_other(table: Table) -> None:
    assert [table.ask("a", key=key) for key in "kl"] == ["Granted", "Granted"]


def test_a_wide_asker_does_not_pass_a_narrow_one(table: Table) -> None:
    table.ask("a", limit=3)
    assert table.ask("narrow", limit=1) == Answer.Queued
    assert table.ask("wide", limit=3) == Answer.Queued
    assert table.give_back("narrow") == "+wide"


@pytest.mark.parametrize("limits", [(1, 2), (2, 1)])
def test_the_smallest_limit_of_all_who_have_it_counts(table: Table, limits: tuple[int, int]) -> None:
    first, second = limits
    assert table.ask("a", limit=first) == Answer.Granted
    assert table.ask("b", limit=second) == Answer.Queued
    assert table.ask("c", limit=3, policy="Skip") == Answer.Refused
    assert table.give_back("a") == "+b"


def test_once_the_narrow_one_is_gone_there_is_room_for_all_whose_turn_it_is(table: Table) -> None:
    table.ask("narrow", limit=1)
    assert [table.ask(holder, limit=2) for holder in "abc"] == ["Queued", "Queued", "Queued"]
    assert table.give_back("narrow") == "+a +b"


def test_whose_limit_is_not_known_yet_after_a_restart_does_not_count(table: Table) -> None:
    table.keys.restore("k", "a")
    assert table.ask("b", limit=2) == Answer.Granted
    table.give_back("b")
    table.keys.learn("k", "a", 1)
    table.keys.learn("k", "stranger", 1)
    assert table.ask("b", limit=2) == Answer.Queued
    assert table.holding == "a"


def test_skip_refuses_when_it_is_full_or_others_wait(table: Table) -> None:
    table.ask("a", limit=2)
    assert table.ask("b") == Answer.Queued
    assert table.ask("c", limit=2, policy="Skip") == Answer.Refused
    assert table.give_back("a", "b") == ""
    assert table.ask("c", policy="Skip") == Answer.Granted


def test_cancel_running_makes_the_oldest_stop_and_waits_for_the_key(table: Table) -> None:
    for holder in "ab":
        table.ask(holder, limit=2)
    assert table.ask("c", limit=2, policy="CancelRunning") == "Queued -a"
    assert table.ask("d", limit=2, policy="CancelRunning") == "Queued -b"
    assert table.ask("e", limit=2, policy="CancelRunning") == "Queued"  # nobody is left to stop
    assert table.holding == "ab"
    assert table.give_back("a") == "+c -c"
    assert table.give_back("nobody") == ""


def test_who_stops_waiting_leaves_the_queue_and_takes_no_second_victim(table: Table) -> None:
    for holder in "ab":
        table.ask(holder, limit=2)
    table.ask("c", limit=2, policy="CancelRunning")
    assert table.give_back("c") == ""
    assert table.ask("d", limit=2, policy="CancelRunning") == "Queued"
    assert table.give_back("b") == "+d"


def test_asking_again_changes_nothing(table: Table) -> None:
    assert [table.ask("a"), table.ask("a")] == ["Granted", "Granted"]
    assert [table.ask("b", policy="CancelRunning") for _ in range(2)] == ["Queued -a", "Queued"]


def test_what_is_given_back_together_is_granted_to_nobody_among_them(table: Table) -> None:
    for holder in "abc":
        table.ask(holder)
    assert table.give_back("a", "b") == "+c"


def test_a_restored_holder_keeps_others_out(table: Table) -> None:
    for holder in "ab":
        table.keys.restore("k", holder)
    assert table.ask("c") == Answer.Queued
    assert table.give_back("a") == ""
    assert table.give_back("b") == "+c"
