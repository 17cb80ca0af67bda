"""The one address guard: where may the operator connect on a user's behalf?

A webhook URL and an `http` node are written by users, but the operator dials them from its own network place. So the
addresses that only the operator's place makes reachable are refused: loopback, link-local, cloud metadata, the API
server, and what is no host at all (unspecified, multicast, broadcast, reserved). Private ranges stay open, because a
receiver inside the cluster is the usual case. One operator setting closes networks, these or any others; another one
allows them again, and the refused ranges too. Of two such networks the narrower counts, and of two alike the closed.

Everything here is pure. `check_address` judges one IP address, in whatever IPv6 form an IPv4 address hides;
`check_url` judges what can be known of a URL before a name is resolved. `weft.notify.guarded_http` asks both, the first
one for the very address that a socket is about to connect to.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

# Metadata services outside the link-local ranges: AWS, Google Cloud, Alibaba Cloud, Azure, Oracle Cloud.
_METADATA = tuple(
    map(ip_network, ("fd00:ec2::/32", "fd20:ce::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"))
)
_BROADCAST = IPv4Address("255.255.255.255")
# The first asks a translator for the IPv4 address in the last 32 bits; the second hides it where only the network's
# own configuration knows (RFC 8215), so it cannot be judged.
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_V4_COMPATIBLE = IPv6Network("::/96")
_ALL_V4 = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """What the operator's settings say: networks denied or allowed whatever they are, and where the API server is."""

    denied: tuple[IPNetwork, ...] = ()
    allowed: tuple[IPNetwork, ...] = ()
    api_server: frozenset[IPAddress] = frozenset()


def check_address(address: str | IPAddress, policy: AddressPolicy) -> str | None:
    """Return why `address` may not be connected to, or None when it may; raise ValueError when it is no IP address."""
    ip = _unmapped(ip_address(address))
    allowed, denied = _narrowest(ip, policy.allowed), _narrowest(ip, policy.denied)
    if denied is not None and (allowed is None or allowed <= denied):
        return f"{ip} is denied by the operator's settings (notify.deniedCidrs)"
    if allowed is None and (reason := _refusal(ip, policy)):
        return f"{ip} is {reason}: closed unless the operator's settings open it (notify.allowedCidrs)"
    # Who allows the way allows what is refused at its end, but not what is denied there.
    end = policy if allowed is None else replace(policy, allowed=(*policy.allowed, _ALL_V4))
    for inner in _embedded(ip):
        if reason := check_address(inner, end):
            return f"{ip} leads to {inner}: {reason}"
    return None


def check_url(url: URL, policy: AddressPolicy) -> str | None:
    """Return why `url` may not be requested, as far as it tells, or None: names are judged on connecting."""
    if url.scheme not in ("http", "https"):
        return "the scheme must be http or https"  # not said which it is: a Secret that is no URL may look like one
    if url.user is not None or url.password is not None:
        return "credentials in the URL are refused: send them in a header"
    if not url.host:
        return "the URL has no host"
    literal = _literal(url.host)
    return check_address(literal, policy) if literal else None


def _narrowest(ip: IPAddress, networks: tuple[IPNetwork, ...]) -> int | None:
    """Give the length of the longest prefix that is one of the address, or None."""
    return max((network.prefixlen for network in networks if ip in network), default=None)


def _refusal(ip: IPAddress, policy: AddressPolicy) -> str | None:
    if ip in policy.api_server:
        return "the API server"
    if ip.is_loopback:
        return "loopback"
    if ip.is_link_local:
        return "link-local, where cloud metadata services live"
    if any(ip in network for network in _METADATA):
        return "a cloud metadata service"
    if ip.is_multicast:
        return "multicast"
    if ip.is_unspecified or (ip.version == 4 and ip.packed[0] == 0):
        return "unspecified, which means this host"
    if ip == _BROADCAST:
        return "broadcast"
    if ip.version == 4 and ip.is_reserved:
        return "reserved"
    if ip in _NAT64_LOCAL:
        return "behind a translator that hides the real address"
    return None


def _unmapped(ip: IPAddress) -> IPAddress:
    """Give the IPv4 address that the kernel connects to when told `::ffff:a.b.c.d`; other addresses as they are."""
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return ip.ipv4_mapped
        if ip.scope_id is not None:
            return IPv6Address(ip.packed)
    return ip


def _embedded(ip: IPAddress) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses to which tunnels and translators would carry a packet for `ip`."""
    if not isinstance(ip, IPv6Address):
        return
    if ip in _NAT64 or ip in _V4_COMPATIBLE:
        yield IPv4Address(ip.packed[12:])
    if ip.sixtofour is not None:
        yield ip.sixtofour
    if ip.teredo is not None:
        yield from ip.teredo


def _literal(host: str) -> IPAddress | None:
    """Read a host that is an address, in the old notations too (2130706433, 0x7f.1, 0177.0.0.1); None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, UnicodeEncodeError):
        return None
