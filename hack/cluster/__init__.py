"""The test cluster: one real Kubernetes node, from nothing but this folder.

`python3 hack/cluster up` uses kind where a Docker engine answers. Elsewhere it runs the node natively: etcd, the
control plane, kubelet, kube-proxy and containerd as plain processes, inside a network namespace of their own, so that
nothing listens beyond this machine and nothing of the host's network is changed. Only the standard library is used,
because this runs before any virtual environment exists.
"""
