import pytest

from bench.compare import factor, latest
from bench.gate import broken, proposed
from bench.harness.report import met, percentile

LIMITS = {"pace_ratio": 0.4, "cpu_ratio": 4.0, "reaction_ratio": 0.4}
GOOD = {"pace_ratio": 0.5, "cpu_ratio": 3.5, "reaction_ratio": 0.1}


def test_ratios_within_the_limits_pass():
    assert broken(GOOD, LIMITS) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("pace_ratio", 0.3, "pace_ratio 0.300 is below 0.400"),
        ("cpu_ratio", 4.1, "cpu_ratio 4.100 is above 4.000"),
        ("reaction_ratio", 2.0, "reaction_ratio 2.000 is above 0.400"),
    ],
)
def test_each_limit_is_kept(name, value, told):
    assert broken({**GOOD, name: value}, LIMITS) == [told]


@pytest.mark.parametrize(
    ("name", "values", "limit"),
    [
        ("pace_ratio", [0.5, 0.5, 0.5], 0.375),  # at least a quarter below
        ("cpu_ratio", [4.0, 4.0, 4.0], 5.0),  # at least a quarter above
        ("cpu_ratio", [3.0, 4.0, 5.0], 8.448),  # three spreads
        ("reaction_ratio", [0.1, 0.1, 0.1], 0.5),
    ],
)
def test_a_limit_leaves_room_for_what_a_machine_does_by_itself(name, values, limit):
    assert proposed(name, values) == pytest.approx(limit, abs=0.001)


@pytest.mark.parametrize(
    ("measure", "new", "old", "by"),
    [("pace_ratio", 0.25, 0.5, 2.0), ("cpu_ratio", 4.0, 2.0, 2.0), ("cpu_ratio", 1.0, 2.0, 0.5)],
)
def test_worse_is_above_one_whichever_way_a_measure_goes(measure, new, old, by):
    assert factor(measure, new, old) == by


def test_the_last_line_of_a_measure_counts_and_sizes_are_kept_apart():
    lines = [
        {"measure": "hop_p50_ms", "value": 1, "settings": {"runs_active": 20}},
        {"measure": "hop_p50_ms", "value": 2, "settings": {"runs_active": 100}},
        {"measure": "hop_p50_ms", "value": 3, "settings": {"runs_active": 100}},
    ]
    assert sorted(line["value"] for line in latest(lines).values()) == [1, 3]


@pytest.mark.parametrize(
    ("measure", "value", "is_met"),
    [
        ("nodes_per_min", 2700, True),
        ("nodes_per_min", 2699, False),
        ("hop_p50_ms", 5, True),
        ("hop_p50_ms", 6, False),
        ("pace_ratio", 1, None),
    ],
)
def test_goals_know_their_direction(measure, value, is_met):
    assert met(measure, value) is is_met


def test_a_percentile_is_a_value_that_was_measured():
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert percentile([1.0, 2.0], 0.99) == 2.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)
