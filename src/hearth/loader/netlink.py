"""Links, addresses and routes by netlink: what ``ip`` does, without starting it for every pod.

``python -m hearth.loader.netlink PREFIX`` removes the links whose names begin so.

Source: rtnetlink(7), linux/if_link.h, linux/veth.h.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Iterator

_REQUEST_ACK = 0x1 | 0x4
_CREATE_EXCL = 0x400 | 0x200
_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE = 16, 17, 20, 24
_ERROR = 2
_IFF_UP = 0x1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_PID = 1, 3, 10, 18, 19
_INFO_KIND, _INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_GATEWAY = 4, 5
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
        table, protocol, unicast = 254, 3, 1
        head = struct.pack("<8BI", socket.AF_INET, 0, 0, 0, table, protocol, 0, unicast, 0)
        body = head + _attribute(_RTA_GATEWAY, ipaddress.IPv4Address(gateway).packed)
        self._ask(_NEWROUTE, _CREATE_EXCL, body + _attribute(_RTA_OIF, struct.pack("<I", index)))

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


def _link(index: int = 0, flags: int = 0) -> bytes:
    return struct.pack("<BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _name(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


if __name__ == "__main__":
    remove_links(sys.argv[1:])
