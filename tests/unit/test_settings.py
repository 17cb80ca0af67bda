from ipaddress import ip_network

import pytest
from weft.settings import Settings, SettingsError, variable


def test_an_empty_environment_gives_the_defaults():
    settings = Settings.from_env({})
    assert settings == Settings()
    assert settings.namespaces == ()
    assert settings.status_interval_seconds == 0.2
    assert settings.status_bytes_per_second == 262144
    assert settings.job_controller == "managedBy"
    assert settings.lease_enabled
    assert not settings.resource_impersonation
    assert settings.notify_denied_cidrs == ()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("WEFT_NAMESPACES", "team-a, team-b", ("team-a", "team-b")),
        ("WEFT_WORKERS", "4", 4),
        ("WEFT_LEASE_ENABLED", "false", False),
        ("WEFT_LOG_FORMAT", "json", "json"),
        ("WEFT_JOB_CONTROLLER", "builtin", "builtin"),
        ("WEFT_NOTIFY_ALLOWED_CIDRS", "10.1.0.0/16,fd00::/8", (ip_network("10.1.0.0/16"), ip_network("fd00::/8"))),
        ("WEFT_NOTIFY_DENIED_CIDRS", "10.0.0.0/8 fc00::/7", (ip_network("10.0.0.0/8"), ip_network("fc00::/7"))),
        ("WEFT_NOTIFY_DENIED_CIDRS", "::ffff:10.0.0.0/104", (ip_network("10.0.0.0/8"),)),
        ("WEFT_STATUS_INTERVAL_SECONDS", " 0.5 ", 0.5),
    ],
)
def test_a_variable_sets_its_field(name, text, value):
    settings = Settings.from_env({name: text})
    assert getattr(settings, name.removeprefix("WEFT_").lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "WEFT_WORKERS",
            "many",
            "WEFT_WORKERS: must be a valid integer, unable to parse string as an integer, got 'many'",
        ),
        ("WEFT_WORKERS", "0", "WEFT_WORKERS: must be greater than or equal to 1, got '0'"),
        ("WEFT_LOG_FORMAT", "xml", "WEFT_LOG_FORMAT: must be 'text' or 'json', got 'xml'"),
        (
            "WEFT_NOTIFY_ALLOWED_CIDRS",
            "10.0.0.1/8",
            "WEFT_NOTIFY_ALLOWED_CIDRS: 10.0.0.1/8 has host bits set, got '10.0.0.1/8'",
        ),
        (
            "WEFT_NOTIFY_DENIED_CIDRS",
            "10.0.0.1/8",
            "WEFT_NOTIFY_DENIED_CIDRS: 10.0.0.1/8 has host bits set, got '10.0.0.1/8'",
        ),
        ("WEFT_SHARDS", "65", "WEFT_SHARDS: must be less than or equal to 64, got '65'"),
    ],
)
def test_a_wrong_value_is_reported_by_its_variable_with_the_mend(name, text, message):
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({name: text})
    assert str(caught.value) == message


def test_all_wrong_values_are_reported_at_once():
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"WEFT_WORKERS": "0", "WEFT_LOG_LEVEL": "loud"})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["WEFT_WORKERS", "WEFT_LOG_LEVEL"]


def test_what_kubernetes_sets_for_a_service_named_weft_is_ignored():
    assert Settings.from_env({"WEFT_SERVICE_HOST": "10.0.0.1", "WEFT_PORT": "tcp://10.0.0.1:80"}) == Settings()


def test_an_empty_variable_counts_as_not_set():
    assert Settings.from_env({"WEFT_WORKERS": " "}).workers == 16


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_for_the_docs(name):
    assert variable(name) == f"WEFT_{name.upper()}"
    assert (Settings.model_fields[name].description or "").endswith(".")


def test_shards_need_leases():
    assert Settings.from_env({"WEFT_SHARDS": "1", "WEFT_LEASE_ENABLED": "false"}).shards == 1
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"WEFT_SHARDS": "4", "WEFT_LEASE_ENABLED": "false"})
    assert str(caught.value) == "WEFT_SHARDS: needs Leases: leave WEFT_LEASE_ENABLED true, or set it to 0, got '4'"
