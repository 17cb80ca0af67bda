"""A run that somebody has nested deeper than any parser reads: the others are shown, and it can be dealt with."""

import json

import pytest
import yaml
from support.apiserver import workflow_run
from support.deep import LEVELS, hold_deep_values
from weft.kube.resources import WORKFLOW_RUNS

CUT = "(cut off by Weft: nested too deeply)"


@pytest.fixture(params=LEVELS, autouse=True)
def runs(request, monkeypatch, api):
    hold_deep_values(monkeypatch, request.param)
    api.add(workflow_run("bad", parameters={"p": "(deep)"}))
    api.add(workflow_run("good", phase="Succeeded"))


def test_its_status_is_shown(call):
    answer = call("status", "bad")
    assert answer.exit_code == 0
    assert "Running it is" in answer.output


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_all_runs_are_shown_in_full_but_for_what_is_too_deep(call, form, read):
    answer = call("status", "-o", form)
    assert answer.exit_code == 0, answer.exception
    assert [run["metadata"]["name"] for run in read(answer.output)["items"]] == ["bad", "good"]
    assert CUT in json.dumps(read(answer.output))


def test_it_can_be_stopped(call, api):
    assert call("stop", "bad").exit_code == 0
    assert api.read(WORKFLOW_RUNS, "shop", "bad")["spec"]["stop"] == "Cancel"
    assert api.read(WORKFLOW_RUNS, "shop", "bad")["spec"]["parameters"] == {"p": "(deep)"}


def test_it_can_be_followed(api, server, session):
    seen = session.cluster.watch(WORKFLOW_RUNS, "bad")
    assert next(seen)["status"]["phase"] == "Running"
    server.on_watch = [
        lambda: api.edit(WORKFLOW_RUNS, "shop", "bad", lambda run: run["status"].update(phase="Succeeded"))
    ]
    assert next(seen)["status"]["phase"] == "Succeeded"
