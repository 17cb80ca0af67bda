import pytest
from support.apiserver import workflow_run
from weft.cli.absence import no_logs, no_logs_of_run
from weft.cli.logs import Selection, follow_pods
from weft.cli.sources import Source, chosen, latest_attempt, source_of
from weft.kube.resources import PODS, WORKFLOW_RUNS
from weft.render.names import RunRef, child_annotations, child_labels

RUNNING = {"containerStatuses": [{"name": "other"}, {"name": "main", "state": {"running": {}}}]}
PULLING = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "Pulling"}}}]}
NODES = [
    {"name": "scrape", "phase": "Succeeded", "attempts": 2},
    {"name": "price", "phase": "Running", "attempts": 3, "itemCount": 2},
    {"name": "publish", "phase": "Pending", "reason": "WaitingForDependencies", "message": "waits for price"},
]


def pod(api, run, name, identity, *, status=RUNNING):
    path, _, _, _, attempt = identity
    metadata = {
        "name": name, "namespace": "shop",
        "labels": child_labels(RunRef("shop", "r", run["metadata"]["uid"], "listing"), path, attempt),
        "annotations": child_annotations(run["metadata"]["uid"], identity),
    }  # fmt: skip
    api.add({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {}, "status": status})


@pytest.fixture
def run(api, server):
    """A run with four Pods, and a stranger of the same labels."""
    made = api.add(workflow_run("r", nodes=NODES))
    for name, identity in {
        "s1": ("scrape", None, None, "main", 1),
        "s2": ("scrape", None, None, "main", 2),
        "p0": ("price", 0, None, "main", 1),
        "p1": ("price", 1, None, "main", 2),
    }.items():
        pod(api, made, name, identity)
        server.logs[name] = f"{name} begins\n{name} ends\n".encode()
    pod(api, {"metadata": {"uid": "another"}}, "stranger", ("scrape", None, None, "main", 3))
    return made


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["scrape"], ["s2 begins", "s2 ends"]),
        (["scrape", "--attempt", "1"], ["s1 begins", "s1 ends"]),
        (["price[1]"], ["p1 begins", "p1 ends"]),
        (["price", "--item", "0"], ["p0 begins", "p0 ends"]),
        (["price"], ["price[0]#1 p0 begins", "price[0]#1 p0 ends", "price[1]#2 p1 begins", "price[1]#2 p1 ends"]),
    ],
)
def test_the_latest_attempt_of_what_is_named_is_shown(call, run, words, lines):
    result = call("logs", "r", *words)
    assert (result.exit_code, result.stdout.splitlines()) == (0, lines)


def test_all_of_a_run_says_whose_each_line_is(call, run):
    lines = call("logs", "r").stdout.splitlines()
    assert [line.partition(" ")[0] for line in lines][::2] == ["price[0]#1", "price[1]#2", "scrape#2"]


def test_what_has_not_started_is_told_apart_from_the_logs(api, call, run):
    pod(api, run, "s3", ("scrape", None, None, "main", 3), status=PULLING)
    result = call("logs", "r", "scrape")
    assert (result.stdout, result.stderr) == ("", "scrape#3: Pod s3 has not started yet (Pulling)\n")


def test_what_a_pod_says_of_itself_moves_no_terminal(api, call, run):
    """Whoever may write a Pod's status chooses the words."""
    pod(api, run, "s3", ("scrape", None, None, "main", 3), status={"phase": "Pending", "reason": "\x1b[2J"})
    assert call("logs", "r", "scrape").stderr == "scrape#3: Pod s3 has not started yet (\\u001b[2J)\n"


def test_a_log_that_cannot_be_read_does_not_hide_the_others(server, call, run):
    del server.logs["p0"]
    result = call("logs", "r", "price")
    assert result.exit_code == 1
    assert result.stderr == 'price[0]#1: pods "p0" not found\n'
    assert "price[1]#2 p1 ends" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["publsh"], "run r has no node 'publsh'; did you mean publish?"),
        (["publish"], "node publish has not started yet (WaitingForDependencies: waits for price)"),
        (["scrape", "--attempt", "5"], "node scrape has made 2 attempts so far; there is no attempt 5"),
    ],
)
def test_no_logs_have_a_reason(call, run, words, message):
    assert call("logs", "r", *words).stderr == f"Error: {message}\n"


def test_following_takes_up_new_pods_until_the_run_has_ended(api, server, session, waits, run, capsys):
    def next_second(seconds):
        waits.append(seconds)
        if len(waits) == 1:
            server.logs["late"] = b"late\n"
            pod(api, run, "late", ("publish", None, None, "main", 1))
        else:
            ended = workflow_run("r", phase="Failed")["status"]
            api.edit(WORKFLOW_RUNS, "shop", "r", lambda stored: stored.update(status=ended))

    session.cluster.sleep = next_second
    assert follow_pods(session, Selection(session, run, None, None, None)) == 0
    assert set(capsys.readouterr().out.splitlines()) >= {"scrape#2 s2 ends", "publish#1 late"}
    assert set(waits) == {1}


def end(api):
    ended = workflow_run("r", phase="Failed")["status"]
    api.edit(WORKFLOW_RUNS, "shop", "r", lambda stored: stored.update(status=ended))


def test_following_is_patient_with_a_server_that_is_away(api, session, waits, run, capsys):
    def next_second(seconds):
        waits.append(seconds)
        if waits == [1]:
            api.fail(503, method="GET", times=3)
        elif seconds == 1:
            end(api)

    session.cluster.sleep = next_second
    assert follow_pods(session, Selection(session, run, None, None, None)) == 0
    assert waits.count(2) == 3
    assert "scrape#2 s2 ends" in capsys.readouterr().out.splitlines()


def test_a_log_that_breaks_off_goes_on_from_where_it_was(api, server, session, waits, run, capsys):
    server.logs["s2"] = b"".join(b"line %d\n" % number for number in range(5))
    server.log_breaks = [100, 60]
    session.cluster.sleep = waits.append
    end(api)
    assert follow_pods(session, Selection(session, api.read(WORKFLOW_RUNS, "shop", "r"), "scrape", None, None)) == 0
    assert capsys.readouterr().out.splitlines() == [f"scrape#2 line {number}" for number in range(5)]
    assert waits.count(2) == 2


def test_following_ends_with_a_run_that_is_gone(api, session, run, capsys):
    session.cluster.sleep = lambda _: api.remove(WORKFLOW_RUNS, "shop", "r")
    assert follow_pods(session, Selection(session, run, None, None, None)) == 1
    assert "run r is gone: it was deleted" in capsys.readouterr().err


def test_an_earlier_attempt_is_not_passed_off_as_the_latest(api, server, call, run):
    api.remove(PODS, "shop", "s2")
    result = call("logs", "r", "scrape")
    assert result.stdout == "s1 begins\ns1 ends\n"
    assert result.stderr == "scrape#1: the Pod of attempt 2 is gone; this is an earlier one\n"
    assert call("logs", "r", "scrape", "--attempt", "1").stderr == ""


def source(path, index=None, iteration=None, role="main", attempt=1):
    return Source(f"{path}-{index}-{attempt}", path, index, iteration, role, attempt, started=True)


TAGS = [source("price[0]/tag"), source("price[1]/tag"), source("price", 10), source("prices")]


@pytest.mark.parametrize(
    ("node", "item", "titles"),
    [
        ("price", None, ["price[10]#1", "price[0]/tag#1", "price[1]/tag#1"]),
        ("price/tag", None, ["price[0]/tag#1", "price[1]/tag#1"]),
        ("price[1]", None, ["price[1]/tag#1"]),
        ("price", 1, ["price[1]/tag#1"]),
        ("prices", None, ["prices#1"]),
        ("pric", None, []),
    ],
)
def test_a_node_stands_for_all_that_is_in_it(node, item, titles):
    assert [one.title for one in chosen(TAGS, node=node, attempt=None, item=item)] == titles


def test_iterations_and_compensations_are_logs_of_their_own():
    found = [source("a", iteration=0), source("a", iteration=1), source("b"), source("b", role="compensate")]
    titles = [one.title for one in chosen(found, node=None, attempt=None, item=None)]
    assert titles == ["a[0]#1", "a[1]#1", "b compensate#1", "b#1"]


@pytest.mark.parametrize(
    ("one", "latest"),
    [(source("a"), 3), (source("f", 1), 2), (source("f", 7), 1), (source("a", iteration=2), 1), (source("gone"), 1)],
)
def test_the_status_knows_the_latest_attempt(one, latest):
    items = [{"index": 1, "attempts": 2}]
    assert latest_attempt(one, [{"name": "a", "attempts": 3}, {"name": "f", "attempts": 9, "items": items}]) == latest


def test_a_pod_without_identity_is_a_stranger():
    assert source_of({"metadata": {"name": "p"}}, "uid") is None


def test_a_pod_that_has_no_container_yet_waits():
    made = {"metadata": {"name": "p", "annotations": child_annotations("uid", ("a", None, None, "main", 1))}}
    found = source_of({**made, "status": {"phase": "Pending"}}, "uid")
    assert found is not None
    assert (found.started, found.waits) == (False, "Pending")


ENDED = workflow_run("r", phase="Succeeded")
ACTIVE = workflow_run("r")
KEEP = "set spec.jobs.keep: All in the Workflow"


@pytest.mark.parametrize(
    ("run", "entry", "kind", "said"),
    [
        (ACTIVE, {"phase": "Succeeded", "attempts": 1}, "switch", "no Pod, hence no logs: its body is switch"),
        (ACTIVE, {"phase": "Running", "attempts": 1}, "workflow", "kubectl get wfr -l weft.dev/run=r,weft.dev/node=a"),
        (ENDED, {"phase": "Skipped", "reason": "ConditionFalse"}, "job", "node a was skipped (ConditionFalse)"),
        (ENDED, {"phase": "Succeeded", "reason": "Cached"}, "job", "from the cache"),
        (ACTIVE, {"phase": "Pending"}, "job", "node a has not started yet (Pending)"),
        (ENDED, {"phase": "Succeeded", "attempts": 2}, "job", KEEP),
        (ACTIVE, {"phase": "Running", "attempts": 2}, "", "node a has no Pod at the moment (Running)"),
    ],
)
def test_why_a_node_has_no_logs(run, entry, kind, said):
    assert said in no_logs(run, {"name": "a", **entry}, kind=kind, keep="Failed", attempt=None)


def test_why_a_run_has_no_logs():
    assert KEEP in no_logs_of_run(ENDED, keep="None")
    assert no_logs_of_run(ACTIVE, keep="Failed") == "no Pod of run r has started yet (Running: Running it is)"


def test_the_workflow_the_run_was_started_with_says_what_is_kept(api, call):
    data = {"workflow": {"nodes": [{"name": "scrape", "job": {}}], "jobs": {"keep": "None"}}}
    metadata = {"name": "listing-abc", "namespace": "shop"}
    api.add({"kind": "ControllerRevision", "metadata": metadata, "data": data})
    api.add(workflow_run("r", nodes=NODES, phase="Succeeded", status={"workflowRevision": "listing-abc"}))
    assert "jobs.keep is None" in call("logs", "r", "scrape").stderr
    assert "jobs.keep is None" in call("logs", "r").stderr
    assert api.all(PODS) == []
