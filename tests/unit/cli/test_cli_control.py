import click
import pytest
from support.apiserver import workflow_run
from weft.cli.control import origin_of, rerun_patch, stop_patch
from weft.kube.resources import WORKFLOW_RUNS

NODES = [{"name": "scrape"}, {"name": "publish"}, {"name": "publish/upload"}, {"name": "price[0]/tag"}]


@pytest.fixture
def spec(api):
    return lambda: api.read(WORKFLOW_RUNS, "shop", "r")["spec"]


@pytest.mark.parametrize(
    ("now", "how", "stop"),
    [
        (None, None, "Cancel"),
        (None, "Drain", "Drain"),
        ("Drain", None, "Cancel"),
        ("Drain", "Terminate", "Terminate"),
        ("Cancel", "Cancel", None),
        ("Terminate", None, None),
    ],
)
def test_a_stop_grows(now, how, stop):
    run = workflow_run("r", **({"stop": now} if now else {}))
    assert stop_patch(run, how) == ({"spec": {"stop": stop}} if stop else None)


@pytest.mark.parametrize(
    ("run", "how", "message"),
    [
        (workflow_run("r", stop="Cancel"), "Drain", "can only be made stronger, not Drain"),
        (workflow_run("r", phase="Succeeded"), None, "run r has ended (Succeeded); it cannot be stopped"),
    ],
)
def test_a_stop_that_makes_no_sense(run, how, message):
    with pytest.raises(click.ClickException) as refused:
        stop_patch(run, how)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("words", "said", "stop"),
    [
        (["stop", "r"], "run r is being stopped (Cancel)\n", "Cancel"),
        (["stop", "r", "--drain"], "run r is being stopped (Drain)\n", "Drain"),
        (["stop", "r", "--terminate"], "run r is being stopped (Terminate)\n", "Terminate"),
    ],
)
def test_stop(api, call, spec, words, said, stop):
    api.add(workflow_run("r"))
    assert call(*words).stdout == said
    assert spec()["stop"] == stop
    assert "already" in call(*words).stdout


def test_a_run_is_stopped_in_one_way(api, call, spec):
    api.add(workflow_run("r"))
    result = call("stop", "r", "--drain", "--cancel")
    assert (result.exit_code, "stop" in spec()) == (2, False)
    assert "give one of --drain, --cancel and --terminate" in result.stderr


def test_suspend_and_resume(api, call, spec):
    api.add(workflow_run("r"))
    assert call("suspend", "r").stdout == "run r is suspended\n"
    assert spec()["suspend"] is True
    assert call("suspend", "r").stdout == "run r is suspended already\n"
    assert call("resume", "r").stdout == "run r is resumed\n"
    assert spec()["suspend"] is False
    assert call("resume", "r").stdout == "run r is not suspended\n"


def test_a_run_that_has_ended_cannot_be_suspended(api, call):
    api.add(workflow_run("r", phase="Failed"))
    assert call("suspend", "r").stderr == "Error: run r has ended (Failed); it cannot be suspended\n"


@pytest.mark.parametrize(
    ("fields", "start", "paths", "rerun"),
    [
        ({}, None, [], {"generation": 1, "from": "Failed", "nodes": None}),
        ({"rerun": {"generation": 4}}, "All", [], {"generation": 5, "from": "All", "nodes": None}),
        ({"status": {"rerunGeneration": 2}}, "Failed", [], {"generation": 3, "from": "Failed", "nodes": None}),
        ({}, None, ["publish/upload"], {"generation": 1, "from": "Nodes", "nodes": ["publish/upload"]}),
        ({}, "Nodes", ["price[0]/tag"], {"generation": 1, "from": "Nodes", "nodes": ["price[0]/tag"]}),
    ],
)
def test_a_rerun_raises_the_generation_and_clears_the_stop(fields, start, paths, rerun):
    run = workflow_run("r", phase="Cancelled", stop="Cancel", **fields)
    assert rerun_patch(run, NODES, origin_of(start, paths), paths) == {"spec": {"rerun": rerun, "stop": None}}


@pytest.mark.parametrize(
    ("phase", "start", "paths", "message"),
    [
        ("Running", None, [], "run r is active (Running); wait for its end, or stop it first"),
        ("Failed", None, ["publsh"], "run r has no node 'publsh'; did you mean publish?"),
        ("Failed", "Nodes", [], "--from Nodes needs --node"),
        ("Failed", "All", ["scrape"], "--node goes with --from Nodes alone"),
    ],
)
def test_a_rerun_that_makes_no_sense(phase, start, paths, message):
    with pytest.raises(click.ClickException) as refused:
        rerun_patch(workflow_run("r", phase=phase), NODES, origin_of(start, paths), paths)
    assert message in refused.value.message


def test_rerun_replaces_the_nodes_of_the_rerun_before(api, call, spec):
    before = {"generation": 1, "from": "Nodes", "nodes": ["scrape"]}
    api.add(workflow_run("r", nodes=NODES, phase="Cancelled", stop="Cancel", suspend=True, rerun=before))
    result = call("rerun", "r", "--from", "all")
    assert result.stdout == "run r is run again from All (rerun 2)\n"
    assert "it is suspended; to let it go on: weft resume r" in result.stderr
    assert spec()["rerun"] == {"generation": 2, "from": "All"}
    assert "stop" not in spec()


def test_rerun_waits_for_the_end_of_the_rerun_not_of_the_run_before(api, call, server):
    api.add(workflow_run("r", nodes=NODES, phase="Failed"))
    ended = workflow_run("r", phase="Succeeded", status={"rerunGeneration": 1})["status"]
    server.on_watch = [lambda: api.edit(WORKFLOW_RUNS, "shop", "r", lambda run: run.update(status=ended))]
    assert call("rerun", "r", "--wait").exit_code == 0
