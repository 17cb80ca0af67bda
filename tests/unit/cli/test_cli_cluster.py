import json
import re
import socket
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from kubernetes.client import Configuration
from support.apiserver import workflow_run
from support.transport import status
from weft.cli.cluster import Cluster, connect
from weft.cli.main import weft
from weft.kube.errors import ApiError, NotFound, ServerError, Unreachable
from weft.kube.resources import WORKFLOW_RUNS


def edit_phase(api, phase):
    return lambda: api.edit(WORKFLOW_RUNS, "shop", "r", lambda run: run["status"].update(phase=phase))


def phases(session, count):
    seen = session.cluster.watch(WORKFLOW_RUNS, "r")
    return [next(seen)["status"]["phase"] for _ in range(count)]


def test_watch_gives_the_object_and_every_change(api, server, session):
    api.add(workflow_run("r", phase="Queued"))
    server.on_watch = [edit_phase(api, "Running")]
    assert phases(session, 2) == ["Queued", "Running"]


def test_watch_goes_on_after_the_connection_broke(api, server, session, waits):
    api.add(workflow_run("r", phase="Queued"))
    server.on_watch = [api.break_watches, edit_phase(api, "Running")]
    assert phases(session, 3) == ["Queued", "Queued", "Running"]
    assert waits == []


@pytest.mark.parametrize("code", [410, 503])
def test_watch_reads_again_when_it_is_refused(api, session, waits, code):
    api.add(workflow_run("r", phase="Queued"))
    api.fail(status(code), method="WATCH")
    assert phases(session, 2) == ["Queued", "Queued"]
    assert waits == [1]


def test_watch_is_patient_with_a_server_that_is_away(api, session, waits):
    api.add(workflow_run("r", phase="Queued"))
    api.fail(503, method="GET", times=3)
    assert phases(session, 1) == ["Queued"]
    assert waits == [2, 2, 2]


def test_watch_gives_up_in_the_end(api, session, waits):
    api.add(workflow_run("r"))
    api.fail(503, method="GET", times=100)
    with pytest.raises(ServerError):
        phases(session, 1)
    assert len(waits) == 30


def test_watch_ends_with_the_object(api, server, session):
    api.add(workflow_run("r"))
    server.on_watch = [lambda: api.remove(WORKFLOW_RUNS, "shop", "r")]
    assert len(list(session.cluster.watch(WORKFLOW_RUNS, "r"))) == 1
    assert list(session.cluster.watch(WORKFLOW_RUNS, "r")) == []


def test_errors_are_those_of_the_api(session):
    with pytest.raises(NotFound, match='workflowruns "r" not found'):
        session.cluster.get(WORKFLOW_RUNS, "r")
    with pytest.raises(NotFound, match="pods"):
        list(session.cluster.log("gone", container="main", follow=False))


def test_lists_are_read_page_by_page(api, server, session):
    def paged(asked):
        token = asked.params.get("continue")
        page = {"items": [{"metadata": {"name": token or "first"}}], "metadata": {} if token else {"continue": "next"}}
        return status(200) if asked.name else type(status(200))(200, json.dumps(page).encode())

    api.before.append(paged)
    assert [one["metadata"]["name"] for one in session.cluster.find_all(WORKFLOW_RUNS)] == ["first", "next"]
    assert [one["metadata"]["name"] for one in session.cluster.pods("a=b")] == ["first", "next"]


def test_an_unreachable_server_is_said_in_a_few_words():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(Unreachable) as refused:
            Cluster(Configuration(host=url), "shop").get(WORKFLOW_RUNS, "r")
    assert refused.value.message == f"cannot reach {url}: Connection refused"


def test_log_lines_are_whole(server, session):
    server.logs["p"] = b"a\nb" * 50_000 + b"\n" + "é".encode()
    lines = list(session.cluster.log("p", container="main", follow=False))
    assert (len(lines), lines[0], lines[-1]) == (50_002, b"a", "é".encode())


@pytest.mark.parametrize(
    ("options", "namespace"),
    [({}, "shop"), ({"context": "bare"}, "default"), ({"namespace": "mine"}, "mine")],
)
def test_the_namespace_is_the_contexts_unless_given(server, tmp_path, options, namespace):
    wanted = {"context": None, "namespace": None, **options}
    assert connect(kubeconfig=server.kubeconfig(tmp_path), **wanted).namespace == namespace


def test_an_unknown_context_or_kubeconfig_is_named(server, tmp_path):
    with pytest.raises(ApiError, match="no context 'x' in the kubeconfig; there are: here, bare"):
        connect(kubeconfig=server.kubeconfig(tmp_path), context="x", namespace=None)
    with pytest.raises(ApiError, match="give --kubeconfig or set KUBECONFIG"):
        connect(kubeconfig=str(tmp_path / "none"), context=None, namespace=None)


def changed_kubeconfig(server, folder, change):
    file = Path(server.kubeconfig(folder))
    content = yaml.safe_load(file.read_text())
    change(content)
    file.write_text(yaml.safe_dump(content))
    return str(file)


def user(**fields):
    return lambda content: content["users"][0].update(user=fields)


def test_a_context_can_be_chosen_where_none_is_current(server, tmp_path):
    file = changed_kubeconfig(server, tmp_path, lambda content: content.pop("current-context"))
    assert connect(kubeconfig=file, context="here", namespace=None).namespace == "shop"
    with pytest.raises(ApiError, match="names no current-context; give --context; there are: here, bare"):
        connect(kubeconfig=file, context=None, namespace=None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "no cluster to talk to: .*kubeconfig: "),
        ("just a text", "no cluster to talk to: .*kubeconfig is no kubeconfig"),
        ("[1, 2]", "no cluster to talk to: .*kubeconfig is no kubeconfig"),
        ("contexts: [1]", "no cluster to talk to: .*kubeconfig is no kubeconfig"),
        ("contexts: [{name: a}]\ncurrent-context: a", "no cluster to talk to: "),
        ("", "no cluster to talk to: "),
        ("\0\1", "no cluster to talk to: .*kubeconfig: "),
    ],
)
def test_a_kubeconfig_that_is_none_is_said_in_a_line(tmp_path, text, said):
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    result = CliRunner().invoke(weft, ["status", "--kubeconfig", str(file)])
    assert (type(result.exception), result.exit_code) == (SystemExit, 1)
    assert re.match(f"Error: {said}", result.stderr)
    assert result.stderr.count("\n") == 1


def test_a_folder_is_no_kubeconfig(tmp_path):
    with pytest.raises(ApiError, match="Is a directory"):
        connect(kubeconfig=str(tmp_path), context=None, namespace=None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tokenFile": "/nowhere/token"}, "/nowhere/token: No such file or directory"),
        ({"token": "a\nb"}, "the token of the kubeconfig has a line break in it"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}}, "no-such-plugin"),
    ],
)
def test_credentials_that_cannot_be_read_are_said_in_a_line(server, tmp_path, fields, said):
    file = changed_kubeconfig(server, tmp_path, user(**fields))
    result = CliRunner().invoke(weft, ["status", "--kubeconfig", file])
    assert (type(result.exception), result.exit_code) == (SystemExit, 1)
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "fields", [{"client-certificate-data": "bm9uZQ==", "client-key-data": "bm9uZQ=="}, {"client-certificate-data": "x"}]
)
def test_certificates_that_are_none_are_said_in_a_line(server, tmp_path, fields):
    file = Path(changed_kubeconfig(server, tmp_path, user(**fields)))
    file.write_text(file.read_text().replace("http://", "https://"))
    with pytest.raises(ApiError, match=r"no cluster to talk to: |cannot ask |cannot reach "):
        connect(kubeconfig=str(file), context=None, namespace=None).get(WORKFLOW_RUNS, "r")


def test_a_token_file_may_end_in_a_line_break_as_most_files_do(api, server, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    file = changed_kubeconfig(server, tmp_path, user(tokenFile=str(tmp_path / "token")))
    api.add(workflow_run("r"))
    cluster = connect(kubeconfig=file, context=None, namespace=None)
    assert cluster.get(WORKFLOW_RUNS, "r")["metadata"]["name"] == "r"


def test_the_kubeconfig_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", server.kubeconfig(tmp_path))
    assert connect(kubeconfig=None, context=None, namespace=None).host == server.url


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, []),
        ({"as": "vera"}, [("Impersonate-User", "vera")]),
        ({"as": "vera", "as-uid": "17"}, [("Impersonate-User", "vera"), ("Impersonate-Uid", "17")]),
        (
            {"as": "vera", "as-groups": ["ops", "dev, test"]},
            [("Impersonate-User", "vera"), ("Impersonate-Group", "ops"), ("Impersonate-Group", "dev, test")],
        ),
        (
            {"as": "vera", "as-user-extra": {"acme.com/pro:ject": ["a", "b"]}},
            [
                ("Impersonate-User", "vera"),
                ("Impersonate-Extra-acme.com%2Fpro%3Aject", "a"),
                ("Impersonate-Extra-acme.com%2Fpro%3Aject", "b"),
            ],
        ),
        ({"as": "véra"}, [("Impersonate-User", "véra")]),
    ],
)
def test_who_impersonates_somebody_by_kubeconfig_does_so_in_every_request(api, server, tmp_path, fields, said):
    api.add(workflow_run("r"))
    server.logs["p"] = b"a line\n"
    cluster = connect(
        kubeconfig=changed_kubeconfig(server, tmp_path, user(token="secret", **fields)), context=None, namespace=None
    )
    cluster.whoami()
    cluster.get(WORKFLOW_RUNS, "r")
    cluster.patch(WORKFLOW_RUNS, "r", {"spec": {"suspend": True}})
    next(cluster.watch(WORKFLOW_RUNS, "r"))
    list(cluster.log("p", container="main", follow=False))
    assert server.impersonated == [said] * len(server.impersonated)
    assert len(server.impersonated) >= 5


@pytest.mark.parametrize("fields", [{"as-groups": ["ops"]}, {"as-uid": "17"}, {"as-user-extra": {"a": ["b"]}}])
def test_groups_of_nobody_are_not_taken_for_ones_own(server, tmp_path, fields):
    file = changed_kubeconfig(server, tmp_path, user(token="secret", **fields))
    with pytest.raises(ApiError, match=f"has {next(iter(fields))} without as: name the user to act as"):
        connect(kubeconfig=file, context=None, namespace=None)


@pytest.mark.parametrize(
    "fields", [{"as": 5}, {"as": "a", "as-groups": "ops"}, {"as": "a", "as-user-extra": {"a": "b"}}]
)
def test_an_impersonation_that_cannot_be_read_is_not_passed_over(server, tmp_path, fields):
    file = changed_kubeconfig(server, tmp_path, user(token="secret", **fields))
    with pytest.raises(ApiError, match="kubeconfig is no kubeconfig, or a broken one"):
        connect(kubeconfig=file, context=None, namespace=None)
