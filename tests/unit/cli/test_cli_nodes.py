import pytest
from weft.cli.nodes import Row, change_line, changes, fitting, matching, rows

NOW = 1_700_000_000.0

ENTRIES = [
    {"name": "scrape", "phase": "Succeeded", "attempts": 2, "startTime": "2023-11-14T22:13:00Z",
     "completionTime": "2023-11-14T22:13:14Z"},
    {"name": "price", "phase": "Running", "itemCount": 5, "startTime": "2023-11-14T22:13:14Z", "items": [
        {"index": 0, "phase": "Succeeded"}, {"index": 1, "phase": "Failed", "reason": "Error"},
        {"index": 2, "phase": "Running"}]},
    {"name": "price[0]/tag", "phase": "Succeeded"},
    {"name": "publish", "phase": "Running"},
    {"name": "publish/upload", "phase": "Running"},
    {"name": "publish/upload/part", "phase": "Pending"},
    {"name": "poll", "phase": "Running", "iteration": 2},
    {"name": "report"},
]  # fmt: skip


def test_subgraphs_are_indented_under_the_node_that_runs_them():
    assert [row.label for row in rows(ENTRIES)] == [
        "scrape", "price", "  [0]/tag", "publish", "  upload", "    part", "poll", "report"
    ]  # fmt: skip


def test_loops_say_how_far_they_are():
    messages = {row.path: row.message for row in rows(ENTRIES)}
    assert messages["price"] == "2/5 items, 1 failed"
    assert messages["poll"] == "iteration 2"


def test_a_node_that_runs_a_workflow_names_its_run_until_it_ends() -> None:
    [running, ended] = rows(
        [
            {"name": "a", "phase": "Running", "run": "r-a-x1"},
            {"name": "b", "phase": "Failed", "run": "r-b-x1", "message": "run r-b-x1 ended Failed: no stock"},
        ]
    )
    assert (running.message, ended.message) == ("run r-a-x1", "run r-b-x1 ended Failed: no stock")


def test_items_have_rows_of_their_own_when_asked_for():
    assert [row.path for row in rows(ENTRIES, items=True)][1:5] == ["price", "price[0]", "price[1]", "price[2]"]


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (Row("a", "a", "Pending"), ""),
        (Row("a", "a", "Running", start=NOW - 250), "4m10s"),
        (Row("a", "a", "Failed", start=NOW - 250, end=NOW - 200), "50s"),
        (Row("a", "a", "Cancelled", start=NOW - 250), ""),
    ],
)
def test_duration_goes_on_until_the_end(row, shown):
    assert row.duration(NOW) == shown


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("price[0]/tag", ["price[0]/tag"]),
        ("price/tag", ["price[0]/tag"]),
        ("publish", ["publish"]),
        ("tag", []),
    ],
)
def test_a_path_may_leave_positions_out(path, found):
    assert [entry["name"] for entry in matching(path, ENTRIES)] == found


def test_a_short_terminal_keeps_what_matters_in_its_order():
    phases = ["Succeeded"] * 4 + ["Failed", "Pending", "Running", "Pending"]
    found = [Row(str(place), str(place), phase) for place, phase in enumerate(phases)]
    kept, left_out = fitting(found, 4)
    assert [row.path for row in kept] == ["4", "5", "6"]
    assert left_out == "5 more: 4 Succeeded, 1 Pending"
    assert fitting(found, 8) == (found, "")


RUNNING = Row("a", "a", "Running", 1, NOW - 20)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, Row("a", "a", "Pending"), False),
        (None, RUNNING, True),
        (RUNNING, RUNNING, False),
        (RUNNING, Row("a", "a", "Running", 1, NOW - 20, message="3/5 items"), False),
        (RUNNING, Row("a", "a", "Running", 2, NOW - 20), True),
        (RUNNING, Row("a", "a", "Running", 1, NOW - 20, reason="Unschedulable"), True),
        (RUNNING, Row("a", "a", "Succeeded", 1, NOW - 20, NOW), True),
    ],
)
def test_only_news_is_told(before, after, told):
    assert changes({"a": before} if before else {}, [after]) == ([after] if told else [])


def test_a_change_is_one_line():
    row = Row("price[3]", "", "Failed", 2, NOW - 20, NOW - 6, "Error", "main exited with code 1")
    assert change_line(row, NOW) == "price[3]  Failed  Error: main exited with code 1  (2 attempts, 14s)"
    assert change_line(RUNNING, NOW) == "a  Running"
