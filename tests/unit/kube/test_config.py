import base64
import ssl

import pytest
import yaml
from kubernetes import config as kubernetes_config
from kubernetes.client import Configuration
from weft.kube.config import Connection, load_configuration


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    for variable in ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(variable, raising=False)

    def write(*, server="https://10.0.0.1:6443/", user, **cluster):
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    return write


def connect(path):
    return Connection(lambda: load_configuration(kubeconfig=path))


def test_a_kubeconfig_gives_address_token_and_tls(kubeconfig):
    connection = connect(kubeconfig(user={"token": "secret"}, **{"tls-server-name": "kubernetes"}))
    assert connection.access.host == "https://10.0.0.1:6443"
    assert connection.access.authorization == "Bearer secret"
    assert connection.access.server_name == "kubernetes"
    assert connection.access.tls.verify_mode is ssl.CERT_REQUIRED
    assert not connection.access.tls.verify_flags & ssl.VERIFY_X509_STRICT


def test_verification_is_off_only_when_asked_for(kubeconfig):
    connection = connect(kubeconfig(user={"token": "secret"}, **{"insecure-skip-tls-verify": True}))
    assert connection.access.tls.verify_mode is ssl.CERT_NONE


def test_a_plain_address_needs_no_tls_and_no_user_no_token(kubeconfig):
    connection = connect(kubeconfig(server="http://127.0.0.1:8001", user={}))
    assert connection.access.tls is None
    assert connection.access.authorization is None


def test_a_user_and_password_are_basic_authorization(kubeconfig):
    connection = connect(kubeconfig(user={"username": "me", "password": "secret"}))
    assert connection.access.authorization == "Basic " + base64.b64encode(b"me:secret").decode()


def test_a_rotated_token_file_is_read_again_on_reload(kubeconfig, tmp_path):
    token = tmp_path / "token"
    token.write_text("first")
    connection = connect(kubeconfig(user={"tokenFile": str(token)}))
    assert connection.access.authorization == "Bearer first"
    token.write_text("second")
    connection.reload()
    assert connection.access.authorization == "Bearer second"


def test_refresh_asks_the_loader_for_a_token_that_it_renews_itself():
    tokens = iter(["bearer first", "bearer second"])

    def renew(configuration):
        configuration.api_key["BearerToken"] = next(tokens)

    def load():
        configuration = Configuration(host="http://10.0.0.1")
        configuration.refresh_api_key_hook = renew
        return configuration

    connection = Connection(load)
    assert connection.access.authorization == "bearer first"
    connection.refresh()
    assert connection.access.authorization == "bearer second"


def test_what_cannot_be_loaded_as_a_whole_leaves_all_as_it_was(kubeconfig, tmp_path):
    connection = connect(kubeconfig(user={"token": "first"}))
    before = connection.access
    broken = tmp_path / "broken.crt"
    broken.write_text("no certificate")
    kubeconfig(server="https://10.0.0.2", user={"token": "second"}, **{"certificate-authority": str(broken)})
    with pytest.raises(ssl.SSLError):
        connection.reload()
    assert connection.access is before
    assert connection.access.host == "https://10.0.0.1:6443"
    connection.refresh()
    assert connection.access is before


def test_no_configuration_at_all_is_said(tmp_path):
    with pytest.raises(kubernetes_config.ConfigException):
        load_configuration(kubeconfig=str(tmp_path / "absent"))


def test_a_pods_service_account_is_used_when_no_kubeconfig_is_named(tmp_path, monkeypatch):
    for name, content in (("token", "secret"), ("ca.crt", "a certificate")):
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(kubernetes_config.incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(kubernetes_config.incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    configuration = load_configuration()
    assert configuration.host == "https://[fd00::1]:443"
    assert configuration.ssl_ca_cert == str(tmp_path / "ca.crt")
    assert configuration.get_api_key_with_prefix("BearerToken", alias="authorization") == "bearer secret"
