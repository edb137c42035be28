"""Links, addresses and routes by netlink: what ``ip`` does, without starting it for every pod.

``python -m hearth.loader.netlink PREFIX [SUBNET]`` removes the links whose names begin so, and the
route that :meth:`Netlink.refuse` made for the subnet.

Source: rtnetlink(7), linux/if_link.h, linux/veth.h.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator

_REQUEST_ACK = 0x1 | 0x4
_CREATE_EXCL = 0x400 | 0x200
_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _DELROUTE = 16, 17, 20, 24, 25
_ERROR = 2
_IFF_UP = 0x1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_PID = 1, 3, 10, 18, 19
_INFO_KIND, _INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_MAIN_TABLE, _BOOT_PROTOCOL = 254, 3
_UNICAST, _UNREACHABLE = 1, 7  #: kinds of routes
_LAST_METRIC = 4096  #: any other route to the same place goes first
_LOOPBACK = 1  #: its index in every namespace


class Netlink:
    """A connection to the kernel, for the network namespace that it was opened in.

    All methods raise ``OSError`` with the kernel's reason.
    """

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *error: object) -> None:
        self._sock.close()

    def add_bridge(self, name: str, mac: bytes) -> None:
        """Make a bridge that is up."""
        link = _link(flags=_IFF_UP) + _name(name) + _attribute(_IFLA_ADDRESS, mac)
        info = _attribute(_INFO_KIND, b"bridge")
        self._ask(_NEWLINK, _CREATE_EXCL, link + _attribute(_IFLA_LINKINFO, info))

    def add_veth(self, name: str, bridge: str, pid: int, mac: bytes) -> None:
        """Join the network namespace of ``pid`` to the bridge: there it gets ``eth0``, still down.

        Args:
            name: of our end, which is up.
            bridge: what our end belongs to.
            pid: of a process in the namespace.
            mac: of the other end, six bytes.
        """
        peer = _link() + _name("eth0") + _attribute(_IFLA_ADDRESS, mac)
        peer += _attribute(_IFLA_NET_NS_PID, struct.pack("<I", pid))
        info = _attribute(_INFO_KIND, b"veth")
        info += _attribute(_INFO_DATA, _attribute(_VETH_INFO_PEER, peer))
        link = _link(flags=_IFF_UP) + _name(name) + _attribute(_IFLA_LINKINFO, info)
        master = struct.pack("<I", socket.if_nametoindex(bridge))
        self._ask(_NEWLINK, _CREATE_EXCL, link + _attribute(_IFLA_MASTER, master))

    def set_up(self, index: int) -> None:
        """Start a link."""
        self._ask(_NEWLINK, 0, _link(index, _IFF_UP))

    def remove(self, name: str) -> None:
        """Remove a link; one that is not there is fine."""
        try:
            self._ask(_DELLINK, 0, _link() + _name(name))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise

    def add_address(self, index: int, address: str, prefix: int) -> None:
        """Give a link an IPv4 address."""
        packed = ipaddress.IPv4Address(address).packed
        head = struct.pack("<BBBBI", socket.AF_INET, prefix, 0, 0, index)
        body = head + _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        self._ask(_NEWADDR, _CREATE_EXCL, body)

    def add_default_route(self, index: int, gateway: str) -> None:
        """Send through ``gateway`` what no other route wants."""
        body = _route(_UNICAST) + _attribute(_RTA_GATEWAY, ipaddress.IPv4Address(gateway).packed)
        self._ask(_NEWROUTE, _CREATE_EXCL, body + _attribute(_RTA_OIF, struct.pack("<I", index)))

    def refuse(self, subnet: ipaddress.IPv4Network) -> None:
        """Tell who sends to the subnet that nothing is there, unless another route leads there."""
        with contextlib.suppress(FileExistsError):
            self._ask(_NEWROUTE, _CREATE_EXCL, _refusal(subnet))

    def refuse_no_more(self, subnet: ipaddress.IPv4Network) -> None:
        """Undo :meth:`refuse`; what is not there is fine."""
        with contextlib.suppress(ProcessLookupError):
            self._ask(_DELROUTE, 0, _refusal(subnet))

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        head = struct.pack("<LHHLL", 16 + len(body), kind, _REQUEST_ACK | flags, self._sequence, 0)
        self._sock.send(head + body)
        for answered, payload in _messages(self._sock.recv(65536)):
            if answered == _ERROR and (error := -struct.unpack_from("<i", payload)[0]):
                raise OSError(error, os.strerror(error))


def configure_pod(address: str, prefix: int, gateway: str) -> None:
    """Bring up loopback and ``eth0`` of the namespace that we are in."""
    with Netlink() as netlink:
        index = socket.if_nametoindex("eth0")
        netlink.set_up(_LOOPBACK)
        netlink.set_up(index)
        netlink.add_address(index, address, prefix)
        netlink.add_default_route(index, gateway)


def remove_links(prefixes: list[str]) -> None:
    """Remove every link whose name begins so; what cannot be removed stays."""
    with Netlink() as netlink:
        for _, name in socket.if_nameindex():
            if name.startswith(tuple(prefixes)):
                try:
                    netlink.remove(name)
                except OSError:
                    continue


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 16:
        length, kind = struct.unpack_from("<LH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _route(kind: int, prefix: int = 0) -> bytes:
    return struct.pack(
        "<8BI", socket.AF_INET, prefix, 0, 0, _MAIN_TABLE, _BOOT_PROTOCOL, 0, kind, 0
    )


def _refusal(subnet: ipaddress.IPv4Network) -> bytes:
    body = _route(_UNREACHABLE, subnet.prefixlen)
    body += _attribute(_RTA_DST, subnet.network_address.packed)
    return body + _attribute(_RTA_PRIORITY, struct.pack("<I", _LAST_METRIC))


def _link(index: int = 0, flags: int = 0) -> bytes:
    return struct.pack("<BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _name(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


if __name__ == "__main__":
    remove_links(sys.argv[1:2])
    for argument in sys.argv[2:]:
        with Netlink() as connection:
            connection.refuse_no_more(ipaddress.IPv4Network(argument))
