"""How each component of the native node is called: pure words, no doing.

Everything listens inside the node's own network namespace (see network.py): etcd, controller manager and scheduler on
its loopback, the API server and the kubelet on its one address, because Pods and `kubectl logs` must reach them. The
controller manager and the scheduler keep their default rate limits, so that what is measured here is what users get;
SCHEDULER_QPS raises the scheduler's for the benchmarks that ask what comes next.
"""

from __future__ import annotations

import json
from pathlib import Path

from hack.cluster.network import plugin_folder
from hack.cluster.settings import Settings

NAMES = ("containerd", "etcd", "apiserver", "controller-manager", "scheduler", "kubelet", "proxy")
CLUSTER_DNS_DOMAIN = "cluster.local"


def containerd_configuration(settings: Settings, *, pause_image: str) -> str:
    """containerd's TOML: everything it keeps is under the cluster's own folders."""
    return f"""version = 2
root = "{settings.state}/containerd"
state = "{settings.run}/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
  address = "{settings.containerd_socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{settings.state}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  # Without CAP_SYS_RESOURCE, as in many virtual machines, a lower OOM score cannot be asked for.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{settings.run}/runc"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugin_folder()}"
    conf_dir = "{settings.state}/cni-configuration"
"""


def kubelet_configuration(settings: Settings, pki: Path) -> str:
    """The kubelet's configuration, as JSON (which is YAML)."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": settings.node_address,
            "authentication": {
                "anonymous": {"enabled": False},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
                "webhook": {"enabled": True},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet.key"),
            "containerRuntimeEndpoint": f"unix://{settings.containerd_socket}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{settings.name}",
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDomain": CLUSTER_DNS_DOMAIN,
            "resolvConf": str(settings.state / "resolv.conf"),
            "podLogsDir": str(settings.logs / "pods"),
            "volumePluginDir": str(settings.state / "volume-plugins"),
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "maxPods": 250,
            # A test cluster sees many short Pods at once: do not let the kubelet itself be the brake.
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
            "registryPullQPS": 0,
            # Its own defaults, said: 0 means client-go's five in a second, and Events that come a minute late.
            "eventRecordQPS": 50,
            "eventBurst": 100,
        },
        indent=1,
    )


def scheduler_rate(settings: Settings) -> list[str]:
    """The scheduler's flags for another rate than its own; none when it is to keep that."""
    qps = settings.scheduler_qps
    return [f"--kube-api-qps={qps}", f"--kube-api-burst={2 * qps}"] if qps else []


def commands(settings: Settings, binaries: dict[str, Path], pki: Path) -> dict[str, list[str]]:
    """The command line of every component, in the order in which they start."""
    return {
        "containerd": [str(binaries["containerd"]), "--config", f"{settings.state}/containerd.toml"],
        "etcd": [
            str(binaries["etcd"]),
            f"--data-dir={settings.state}/etcd",
            "--unsafe-no-fsync",  # the data live as long as the cluster; a crash of the machine may lose them
            "--log-level=warn",
        ],
        "apiserver": [
            str(binaries["kube-apiserver"]),
            "--etcd-servers=http://127.0.0.1:2379",
            f"--bind-address={settings.node_address}",
            f"--advertise-address={settings.node_address}",
            f"--service-cluster-ip-range={settings.services}",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DNS_DOMAIN}",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--kubelet-client-certificate={pki}/admin.crt",
            f"--kubelet-client-key={pki}/admin.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
        ],
        "controller-manager": [
            str(binaries["kube-controller-manager"]),
            f"--kubeconfig={pki}/controller-manager.kubeconfig",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={pki}/sa.key",
            f"--root-ca-file={pki}/ca.crt",
            f"--flex-volume-plugin-dir={settings.state}/volume-plugins",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
        ],
        "scheduler": [
            str(binaries["kube-scheduler"]),
            f"--kubeconfig={pki}/scheduler.kubeconfig",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            *scheduler_rate(settings),
        ],
        "kubelet": [
            str(binaries["kubelet"]),
            f"--config={settings.state}/kubelet.json",
            f"--kubeconfig={pki}/kubelet.kubeconfig",
            f"--hostname-override={settings.node_name}",
            f"--node-ip={settings.node_address}",
            f"--root-dir={settings.state}/kubelet",
        ],
        "proxy": [
            str(binaries["kube-proxy"]),
            f"--kubeconfig={pki}/proxy.kubeconfig",
            f"--hostname-override={settings.node_name}",
            f"--cluster-cidr={settings.pods}",
            "--proxy-mode=iptables",
            "--healthz-bind-address=127.0.0.1",
            # Connection tracking limits belong to the machine, which is not ours to tune.
            "--conntrack-max-per-core=0",
            "--conntrack-min=0",
        ],
    }
