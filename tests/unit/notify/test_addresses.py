from ipaddress import ip_address, ip_network

import pytest
from weft.notify.addresses import AddressPolicy, check_address, check_url
from yarl import URL

DEFAULT = AddressPolicy(api_server=frozenset({ip_address("10.96.0.1"), ip_address("fd12::1")}))


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "10.1.2.3", "172.16.0.9", "192.168.1.1", "100.64.0.1", "10.96.0.2", "2606:4700::1", "fd12::2"),
        *("::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:808:808::1"),
    ],
)
def test_public_and_private_addresses_may_be_called(address: str) -> None:
    assert check_address(address, DEFAULT) is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.0.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:7f00:1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("169.254.1.1", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fd00:ec2::254", "metadata"),
        ("fd00:ec2::23", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", "metadata"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("10.96.0.1", "API server"),
        ("::ffff:10.96.0.1", "API server"),
        ("fd12::1", "API server"),
        ("fd12::1%eth0", "API server"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a60:1", "API server"),
        ("64:ff9b:1::a01:203", "translator"),
        ("::127.0.0.1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::1", "link-local"),
        ("2001:0:a9fe:a9fe::1", "link-local"),
    ],
)
def test_dangerous_addresses_are_refused_with_the_reason(address: str, reason: str) -> None:
    assert reason in (check_address(address, DEFAULT) or "")


@pytest.mark.parametrize(
    ("network", "address", "allowed"),
    [
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", True),
        ("127.0.0.0/8", "64:ff9b::7f00:1", True),
        ("127.0.0.0/8", "::1", False),
        ("127.0.0.0/8", "169.254.169.254", False),
        ("::1/128", "::1", True),
        ("10.96.0.1/32", "10.96.0.1", True),
        ("169.254.169.254/32", "169.254.169.254", True),
        ("169.254.169.254/32", "169.254.169.253", False),
    ],
)
def test_the_operators_setting_allows_networks_again(network: str, address: str, allowed: bool) -> None:
    policy = AddressPolicy(allowed=(ip_network(network),), api_server=DEFAULT.api_server)

    assert (check_address(address, policy) is None) is allowed


@pytest.mark.parametrize(
    ("denied", "allowed", "address", "reason"),
    [
        ("10.0.0.0/8", "", "10.1.2.3", "10.1.2.3 is denied"),
        ("10.0.0.0/8", "", "11.1.2.3", None),
        ("10.0.0.0/8", "", "::ffff:10.1.2.3", "10.1.2.3 is denied"),
        ("10.0.0.0/8", "", "64:ff9b::a01:203", "leads to 10.1.2.3"),
        ("10.0.0.0/8", "", "2002:a01:203::1", "leads to 10.1.2.3"),
        ("fc00::/7", "", "fd12::2", "fd12::2 is denied"),
        ("fc00::/7", "", "fd12::2%eth0", "fd12::2 is denied"),
        ("0.0.0.0/0 ::/0", "", "8.8.8.8", "8.8.8.8 is denied"),
        ("0.0.0.0/0 ::/0", "", "2606:4700::1", "denied"),
        ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", None),
        ("10.0.0.0/8", "10.1.0.0/16", "::ffff:10.1.2.3", None),
        ("10.0.0.0/8", "10.1.0.0/16", "64:ff9b::a01:203", None),
        ("10.0.0.0/8", "10.1.0.0/16", "10.2.2.3", "denied"),
        ("10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", "denied"),
        ("10.1.0.0/16", "10.0.0.0/8", "10.2.2.3", None),
        ("10.0.0.0/8", "10.0.0.0/8", "10.1.2.3", "denied"),
        ("10.0.0.0/8 10.1.2.0/24", "10.1.0.0/16", "10.1.2.3", "denied"),
        ("10.1.0.0/16", "10.0.0.0/8 10.1.2.3/32", "10.1.2.3", None),
        ("10.0.0.0/8", "::/0", "64:ff9b::a01:203", "leads to 10.1.2.3"),
        ("127.0.0.0/8", "127.0.0.1/32", "127.0.0.1", None),
        ("127.0.0.0/8", "127.0.0.1/32", "127.0.0.2", "denied"),
        ("10.0.0.0/8", "", "10.96.0.1", "10.96.0.1"),
        ("10.0.0.0/8", "10.96.0.0/16", "10.96.0.1", None),
        ("11.0.0.0/8", "", "10.96.0.1", "API server"),
    ],
)
def test_the_operators_setting_closes_networks_and_the_narrower_one_counts(
    denied: str, allowed: str, address: str, reason: str | None
) -> None:
    policy = AddressPolicy(
        denied=tuple(map(ip_network, denied.split())),
        allowed=tuple(map(ip_network, allowed.split())),
        api_server=DEFAULT.api_server,
    )

    found = check_address(address, policy)

    assert found is None if reason is None else reason in (found or "")


def test_what_is_no_address_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="receiver"):
        check_address("receiver", DEFAULT)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/hook", "loopback"),
        ("http://127.1/hook", "loopback"),
        ("http://2130706433/", "loopback"),
        ("http://0x7f000001/", "loopback"),
        ("http://0x7f.1/", "loopback"),
        ("http://0177.0.0.1/", "loopback"),
        ("http://127.0.0.1./", "loopback"),
        ("http://[::1]:8080/", "loopback"),
        ("http://[::ffff:169.254.169.254]/", "link-local"),
        ("http://2852039166/latest/meta-data", "link-local"),
        ("https://10.96.0.1:443/api", "API server"),
        ("ftp://example.org/", "http or https"),
        ("file:///etc/passwd", "http or https"),
        ("/hook", "http or https"),
        ("http:/hook", "no host"),
        ("http://user:password@example.org/", "credentials"),
        ("http://token@example.org/", "credentials"),
    ],
)
def test_urls_are_refused_before_any_connection(url: str, reason: str) -> None:
    assert reason in (check_url(URL(url), DEFAULT) or "")


def test_a_denied_address_is_refused_before_any_connection() -> None:
    policy = AddressPolicy(denied=(ip_network("10.0.0.0/8"),))

    assert check_url(URL("http://167838211/"), policy) == (
        "10.1.2.3 is denied by the operator's settings (notify.deniedCidrs)"
    )


def test_a_refusal_names_the_setting_that_would_lift_it() -> None:
    assert check_url(URL("http://127.0.0.1/"), DEFAULT) == (
        "127.0.0.1 is loopback: closed unless the operator's settings open it (notify.allowedCidrs)"
    )


def test_a_refusal_does_not_repeat_credentials() -> None:
    assert "hunter2" not in (check_url(URL("http://user:hunter2@example.org/"), DEFAULT) or "")


@pytest.mark.parametrize("url", ["http://receiver.ops.svc:8080/hook?a=b", "https://example.org", "http://10.1.2.3/"])
def test_names_are_judged_only_on_connecting(url: str) -> None:
    assert check_url(URL(url), DEFAULT) is None
