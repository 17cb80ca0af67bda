"""The demo: install Weft, run one workflow, and watch it, with nothing but helm and kubectl.

`make demo` has the cluster up and the images loaded, and gives the programs' paths in the environment. What runs is
examples/weather.yaml, in a namespace of its own, which stays for looking around. The second time, the example's run has
ended already, and another one is made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "examples" / "weather.yaml"
NAMESPACE = "weft-demo"
PATIENCE_SECONDS = 600


def main() -> int:
    """Run the demo; gives 0 when the run succeeded."""
    install()
    run = next(each for each in yaml.safe_load_all(EXAMPLE.read_text()) if each["kind"] == "WorkflowRun")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    kubectl("apply", "-f", "-", document=namespace)
    title(f"kubectl apply -f {EXAMPLE.relative_to(REPOSITORY)}")
    applied = kubectl("apply", "-n", NAMESPACE, "-f", str(EXAMPLE))
    print(applied, end="")
    name = run["metadata"]["name"]
    if f"{name} created" not in applied:
        name = start_another(run)
    title(f"{name}, as it goes")
    ended = follow(name)
    title("kubectl get workflowruns")
    print(kubectl("get", "workflowruns", "-n", NAMESPACE), end="")
    title(f"the nodes of {name}")
    print(table(ended))
    title("the report: kubectl logs of the node report")
    print(report(ended))
    print(f"\nLook around:\n  export KUBECONFIG={os.environ['KUBECONFIG']}")
    print(f"  {os.environ['WEFT_KUBECTL']} -n {NAMESPACE} describe workflowrun {name}")
    return 0 if ended["status"]["phase"] == "Succeeded" else 1


def title(text: str) -> None:
    """Set off what comes next."""
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def install() -> None:
    """Install the chart, or bring it to the present state."""
    title("helm upgrade --install weft charts/weft")
    repository, _, tag = os.environ["WEFT_IMAGE"].rpartition(":")
    values = {"image.repository": repository, "image.tag": tag, "image.pullPolicy": "IfNotPresent"}
    options = ["--namespace", "weft-system", "--create-namespace", "--wait", "--timeout", "120s"]
    options += [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    chart = str(REPOSITORY / "charts" / "weft")
    subprocess.run([os.environ["WEFT_HELM"], "upgrade", "--install", "weft", chart, *options], check=True)


def kubectl(*words: str, document: dict[str, Any] | None = None) -> str:
    """Call kubectl and give what it prints; its complaints go straight to the terminal."""
    text = json.dumps(document) if document else None
    done = subprocess.run(
        [os.environ["WEFT_KUBECTL"], *words], input=text, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def start_another(run: dict[str, Any]) -> str:
    """Create a run like `run`, under a new name; gives the name."""
    title("kubectl create: another run")
    metadata = {"generateName": f"{run['spec']['workflowRef']['name']}-", "namespace": NAMESPACE}
    document = {**run, "metadata": metadata}
    name = kubectl("create", "-f", "-", "-o", "jsonpath={.metadata.name}", document=document)
    print(f"workflowrun.weft.dev/{name} created")
    return name


def follow(name: str) -> dict[str, Any]:
    """Print every change of a node until the run has finished; gives the run as it ended."""
    began = time.monotonic()
    seen: dict[str, str] = {}
    while time.monotonic() < began + PATIENCE_SECONDS:
        run: dict[str, Any] = json.loads(kubectl("get", "workflowrun", name, "-n", NAMESPACE, "-o", "json"))
        status = run.get("status", {})
        for node in status.get("nodes", []):
            if node["phase"] not in ("Pending", seen.get(node["name"])):
                seen[node["name"]] = node["phase"]
                print(f"{time.monotonic() - began:6.1f}s  {node['name']:24} {node['phase']}", flush=True)
        if any(each["type"] == "Finished" and each["status"] == "True" for each in status.get("conditions", [])):
            return run
        time.sleep(0.3)
    raise SystemExit(f"{name} has not finished in {PATIENCE_SECONDS} s: {status.get('conditions')}")


def table(run: dict[str, Any]) -> str:
    """The run's nodes as a table; times are seconds from the run's start."""
    began = moment(run["status"]["startTime"])
    rows = [("NODE", "PHASE", "REASON", "ATTEMPTS", "START", "END")]
    for node in run["status"].get("nodes", []):
        times = [
            f"{moment(node[key]) - began:.1f}s" if node.get(key) else "" for key in ("startTime", "completionTime")
        ]
        rows.append((node["name"], node["phase"], node.get("reason") or "", str(node.get("attempts") or ""), *times))
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def moment(text: str) -> float:
    """A time of the API in seconds."""
    return datetime.fromisoformat(text).timestamp()


def report(run: dict[str, Any]) -> str:
    """What the run says of its work: the log of its node `report`, and its outputs when there is none."""
    jobs = [node["job"] for node in run["status"].get("nodes", []) if node["name"] == "report" and node.get("job")]
    said = [kubectl("logs", "-n", NAMESPACE, f"job/{job}").rstrip() for job in jobs]
    return "\n".join(said) or json.dumps(run["status"].get("outputs", {}), indent=2)


if __name__ == "__main__":
    sys.exit(main())
