"""Which addresses pods get, and which networks are left alone."""

from __future__ import annotations

import errno
import ipaddress
import socket

import pytest

from hearth.loader import netlink
from hearth.node.network import Network, mac_of, routed

TABLE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
*\t0020C00A\t00000000\t0201\t0\t0\t4096\t00F0FFFF\t0\t0\t0
vpn\t0000C00A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
hthaaaaa\t0010C00A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0
"""


def test_the_networks_of_others_are_known_and_the_default_is_none():
    found = [str(network) for network in routed(TABLE, "hthaaaaa")]
    assert found == ["192.168.1.0/24", "10.192.0.0/16"]
    assert routed(TABLE.splitlines()[0], "") == []


def test_a_hardware_address_goes_with_the_ip_and_is_nobodys():
    mac = mac_of("10.192.16.2")
    assert mac == bytes([2, 0x68, 10, 192, 16, 2])
    assert mac[0] & 0b11 == 0b10, "locally administered, for one"
    assert len({mac_of(str(ip)) for ip in ipaddress.IPv4Network("10.0.0.0/24")}) == 256


@pytest.fixture
def kernel(monkeypatch):
    """Stands in for the kernel: keeps what is sent, answers with an error number."""

    class Socket:
        error = 0

        def __init__(self, *args):
            self.sent = []
            Socket.last = self

        def send(self, data):
            self.sent.append(data)

        def recv(self, size):
            body = (-Socket.error).to_bytes(4, "little", signed=True) + bytes(16)
            return (16 + len(body)).to_bytes(4, "little") + b"\2\0" + bytes(10) + body

        def close(self):
            pass

    monkeypatch.setattr(netlink.socket, "socket", Socket)
    return Socket


def test_a_message_says_its_length_and_is_padded(kernel):
    with netlink.Netlink() as link:
        link.add_bridge("hth12345", bytes(6))
    [sent] = kernel.last.sent
    assert int.from_bytes(sent[:4], "little") == len(sent)
    assert len(sent) % 4 == 0
    assert b"hth12345\0" in sent
    assert b"bridge" in sent


def test_addresses_go_in_network_order(kernel):
    with netlink.Netlink() as link:
        link.add_address(2, "10.192.16.2", 20)
        link.add_default_route(2, "10.192.16.1")
    address, route = kernel.last.sent
    assert address.count(bytes([10, 192, 16, 2])) == 2
    assert bytes([10, 192, 16, 1]) in route
    assert route[16] == socket.AF_INET


def test_the_kernels_reason_is_told_and_what_is_not_there_needs_no_removal(kernel):
    with netlink.Netlink() as link:
        kernel.error = 1
        with pytest.raises(PermissionError):
            link.set_up(1)
        with pytest.raises(PermissionError):
            link.remove("x")
        kernel.error = 19
        link.remove("x")


def test_addresses_that_pods_of_an_earlier_agent_had_are_given_away_last():
    network = Network("hth00000", ipaddress.IPv4Network("10.192.0.0/29"))  # two for processes
    network.avoid({"10.192.0.2", "", "10.192.0.6", "192.168.0.1"})
    assert [network._address() for _ in range(2)] == ["10.192.0.3", "10.192.0.2"]


def test_what_is_sent_to_pods_that_are_not_there_is_refused(kernel):
    subnet = ipaddress.IPv4Network("10.192.16.0/20")
    with netlink.Netlink() as link:
        link.refuse(subnet)
        link.refuse_no_more(subnet)
        kernel.error = errno.EEXIST
        link.refuse(subnet)
        kernel.error = errno.ESRCH
        link.refuse_no_more(subnet)
    added, removed, *_ = kernel.last.sent
    assert (added[4], removed[4]) == (24, 25), "RTM_NEWROUTE, RTM_DELROUTE"
    assert added[16:].startswith(bytes([socket.AF_INET, 20]))
    assert bytes([10, 192, 16, 0]) in added
    assert added[20 + 3] == 7, "RTN_UNREACHABLE"
