import base64
import json
import zlib

import pytest
import yaml
from support.apiserver import workflow_run
from weft.cli.status import run_rows
from weft.kube.resources import WORKFLOW_RUNS

NODES = [
    {"name": "scrape", "phase": "Succeeded", "attempts": 1, "startTime": "2023-11-14T22:00:00Z",
     "completionTime": "2023-11-14T22:00:14Z"},
    {"name": "review", "phase": "Waiting", "reason": "AwaitingApproval", "message": "Publish 12 items?", "attempts": 1},
    {"name": "price", "phase": "Failed", "reason": "TooManyFailedItems", "message": "1 of 2 items failed",
     "completionTime": "2023-11-14T22:01:00Z", "startTime": "2023-11-14T22:00:14Z", "itemCount": 2, "items": [
         {"index": 0, "phase": "Succeeded"},
         {"index": 1, "phase": "Failed", "reason": "Error", "message": "main exited\n\x1b[31mwith [bold]code[/] 1"}]},
]  # fmt: skip


def test_one_run_with_its_nodes_and_what_to_do_next(api, call):
    status = {"outputs": {"n": 1}}
    api.add(workflow_run("listing-1", nodes=NODES, phase="Failed", parameters={"limit": 5}, status=status))
    result = call("status", "listing-1")
    flags = result.stdout.rpartition("price ")[2]
    assert result.stdout == (
        "Run:          listing-1\n"
        "Workflow:     listing\n"
        "Status:       Failed, 1/3 nodes, 4m10s\n"
        "Reason:       NodeFailed: Failed it is\n"
        "Started:      2023-11-14T22:00:00Z\n"
        "Parameters:   limit=5\n"
        "\n"
        "NODE     STATUS      ATTEMPTS   DURATION   REASON               MESSAGE\n"
        "scrape   Succeeded   1          14s\n"
        "review   Waiting     1                     AwaitingApproval     Publish 12 items?\n"
        "price    Failed                 46s        TooManyFailedItems   1 of 2 items failed\n"
        "\n"
        "Output:   n=1\n"
        f"Next:     weft approve listing-1 review {flags}"
        f"Next:     weft logs listing-1 price {flags}"
    )


def test_wide_shows_items_and_what_containers_wrote_is_harmless(api, call):
    api.add(workflow_run("listing-1", nodes=NODES))
    shown = call("status", "listing-1", "-o", "wide").stdout
    assert "\n  [0]    Succeeded\n" in shown
    assert "main exited [31mwith [bold]code[/] 1\n" in shown


def test_an_unknown_run_is_searched_for(api, call):
    api.add(workflow_run("listing-1"))
    result = call("status", "listing-2")
    assert (result.exit_code, result.stderr) == (
        1, "Error: no WorkflowRun 'listing-2' in namespace shop; did you mean listing-1?\n"
    )  # fmt: skip


def test_the_list_is_the_servers_table(api, call):
    api.add(workflow_run("b", phase="Succeeded", queue="night"))
    api.add(workflow_run("a"))
    assert call("status").stdout == "NAME   STATUS\na      Running\nb      Succeeded\n"
    assert call("status", "-o", "wide").stdout.splitlines()[2] == "b      Succeeded   night"


def test_runs_of_all_namespaces(api, call):
    other = workflow_run("a")
    other["metadata"]["namespace"] = "other"
    api.add(other)
    assert "no runs in namespace shop" in call("status").stderr
    assert call("status", "-A").stdout == "NAMESPACE   NAME   STATUS\nother       a      Running\n"
    assert call("status", "a", "-A").exit_code == 2


def test_the_oldest_run_comes_first():
    def row(name, created):
        return {"cells": [name, None], "object": {"metadata": {"name": name, "creationTimestamp": created}}}

    table = {
        "columnDefinitions": [{"name": "Name"}, {"name": "Queue", "priority": 1}],
        "rows": [row("new", "2023-11-14T22:00:01Z"), row("old", "2023-11-14T22:00:00Z")],
    }
    assert run_rows(table, wide=False) == (["NAME"], [("", ["old"]), ("", ["new"])])
    assert run_rows(table, wide=True) == (["NAME", "QUEUE"], [("", ["old", ""]), ("", ["new", ""])])


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_machines_get_the_nodes_in_full(api, call, form, read):
    entries = [{"name": "a", "phase": "Succeeded", "outputsIn": "outputs-0"}, {"name": "b", "phase": "Running"}]
    packed = base64.b64encode(zlib.compress(json.dumps(entries).encode())).decode()
    run = api.add(workflow_run("r", nodes=entries[:1], status={"compressedNodes": packed}))
    uid = run["metadata"]["uid"]
    chunk = {"outputs.json": json.dumps({"a": {"n": 1}})}
    api.add({"kind": "ConfigMap", "metadata": {"name": f"weft-{uid}-outputs-0", "namespace": "shop"}, "data": chunk})
    status = read(call("status", "r", "-o", form).stdout)["status"]
    assert [entry["name"] for entry in status["nodes"]] == ["a", "b"]
    assert status["nodes"][0]["outputs"] == {"n": 1}
    assert "compressedNodes" not in status
    found = read(call("status", "-o", form).stdout)["items"]
    assert found[0]["status"]["compressedNodes"] == packed


def test_packed_nodes_kept_elsewhere_are_shown(api, call):
    packed = base64.b64encode(zlib.compress(json.dumps([{"name": "hidden", "phase": "Running"}]).encode())).decode()
    shown = [{"name": "shown", "phase": "Failed"}]
    run = api.add(workflow_run("r", nodes=shown, status={"compressedNodesIn": ["nodes-a-0", "nodes-a-1"]}))
    assert "\nshown " in call("status", "r").stdout
    for number, part in enumerate((packed[:20], packed[20:])):
        name = f"weft-{run['metadata']['uid']}-nodes-a-{number}"
        data = {"outputs.json": json.dumps({"packed": part})}
        api.add({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data})
    assert "\nhidden " in call("status", "r").stdout
    assert "compressedNodesIn" not in call("status", "r", "-o", "json").stdout


def test_a_chunk_that_is_gone_does_not_hide_the_run(api, call):
    api.add(workflow_run("r", nodes=[{"name": "a", "phase": "Succeeded", "outputsIn": "outputs-0"}]))
    assert json.loads(call("status", "r", "-o", "json").stdout)["status"]["nodes"][0]["outputs"] is None


def test_field_owners_are_left_out(api, call):
    api.add(workflow_run("r"))
    api.edit(WORKFLOW_RUNS, "shop", "r", lambda run: run["metadata"].update(managedFields=[{}]))
    assert "managedFields" not in call("status", "r", "-o", "yaml").stdout


@pytest.mark.parametrize("code", [403, 401])
def test_errors_are_one_line(api, call, code):
    api.fail(code)
    result = call("status")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
