import io

import click
import pytest
from rich.console import Console
from support.apiserver import workflow_run
from weft.cli.follow import Lines, Page, follow, states
from weft.kube.resources import WORKFLOW_RUNS

NOW = 1_700_000_000.0
SCRAPE = {"name": "scrape", "phase": "Running", "attempts": 1, "startTime": "2023-11-14T22:00:00Z"}
FAILED = {**SCRAPE, "phase": "Failed", "reason": "Error", "message": "main exited with code 1", "attempts": 2,
          "exitCode": 1, "completionTime": "2023-11-14T22:00:14Z"}  # fmt: skip


def becomes(api, **fields):
    """Something that gives run r another status."""
    status = workflow_run("r", **fields)["status"]
    return lambda: api.edit(WORKFLOW_RUNS, "shop", "r", lambda run: run.update(status=status))


@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 1), ("Cancelled", 2)])
def test_follow_ends_with_the_run_and_gives_its_verdict(api, server, session, capsys, phase, code):
    api.add(workflow_run("r", nodes=[SCRAPE]))
    server.on_watch = [becomes(api, nodes=[FAILED], phase=phase)]
    assert follow(session, "r") == code
    lines = [line[10:] for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["run Running", "scrape Running"]
    assert lines[2] == "scrape Failed Error: main exited with code 1 (2 attempts, 14s)"
    assert lines[3].startswith(f"run {phase}")


def test_waiting_is_silent_but_for_what_went_wrong(api, session, capsys):
    api.add(workflow_run("r", phase="Failed"))
    assert follow(session, "r", quiet=True) == 1
    assert capsys.readouterr() == ("", "run r Failed: Failed it is\n")


def test_a_run_that_is_deleted_is_an_error(api, server, session):
    api.add(workflow_run("r"))
    server.on_watch = [lambda: api.remove(WORKFLOW_RUNS, "shop", "r")]
    with pytest.raises(click.ClickException, match="run r was deleted before it had ended"):
        follow(session, "r", quiet=True)


def test_another_run_of_that_name_is_not_followed(api, session):
    api.add(workflow_run("r"))
    seen = states(session, "r")
    next(seen)
    api.remove(WORKFLOW_RUNS, "shop", "r")
    api.add(workflow_run("r", phase="Succeeded"))
    api.expire()
    with pytest.raises(click.ClickException, match="was deleted"):
        list(seen)


def test_ctrl_c_leaves_the_run_going_and_says_how_to_stop_it(api, session, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    api.add(workflow_run("r"))
    monkeypatch.setattr(Lines, "show", interrupt)
    assert follow(session, "r") == 130
    assert capsys.readouterr().err == "run r goes on; to stop it: weft stop r\n"
    assert "stop" not in api.read(WORKFLOW_RUNS, "shop", "r")["spec"]


def shown(view_of, session, *states_):
    out = io.StringIO()
    view = view_of(session, Console(file=out, width=200), now=lambda: NOW)
    for run in states_:
        view.show(run)
    return [line[10:] for line in out.getvalue().splitlines()]


def test_lines_tell_a_question_with_its_answer(session):
    review = {"name": "review", "phase": "Waiting", "reason": "AwaitingApproval", "message": "Publish?"}
    run = workflow_run("r", nodes=[review])
    assert shown(Lines, session, run, run) == [
        "run Running", "review Waiting AwaitingApproval: Publish?", "to approve: weft approve r review"
    ]  # fmt: skip


def test_lines_tell_of_items_only_what_failed(session):
    items = [{"index": 0, "phase": "Succeeded"}, {"index": 1, "phase": "Failed", "reason": "Error", "message": "no"}]
    run = workflow_run("r", nodes=[{"name": "price", "phase": "Running", "itemCount": 3, "items": items}])
    assert shown(Lines, session, run) == [
        "run Running", "price Running 2/3 items, 1 failed", "price[1] Failed Error: no"
    ]  # fmt: skip


def test_the_page_fits_the_terminal(session):
    nodes = [{"name": f"n{number}", "phase": "Succeeded"} for number in range(100)]
    out = io.StringIO()
    screen = Console(file=out, width=80, height=20, force_terminal=True, color_system=None)
    with Page(session, screen, now=lambda: NOW) as page:
        page.show(workflow_run("r", nodes=[*nodes, SCRAPE]))
    last = out.getvalue().rpartition("Run:")[2]
    assert "scrape   Running" in last
    assert "more:" in last
    assert last.count("\n") < 20


def test_run_follows_what_it_starts(api, server, call):
    api.add({"kind": "Workflow", "metadata": {"name": "listing", "namespace": "shop"}, "spec": {"nodes": []}})
    server.on_watch = [becomes(api, phase="Cancelled")]
    result = call("run", "listing", "--name", "r", "--follow")
    assert result.exit_code == 2
    assert result.stdout.splitlines()[0] == "r"
