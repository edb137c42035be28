"""A network namespace per pod: a bridge with a subnet of its own, a veth pair per pod.

Needs root. Pods reach the outside where nft or iptables is present.

What is done for a pod is spread: the node makes the pair of links, the pod, in its own namespace,
brings its end up (``loader.netlink``). Measured: 2 ms a pod, against 16 ms with ``ip``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import os
import shutil
import socket
import sys
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from hearth.kit.tasks import TaskGroup
from hearth.loader.netlink import Netlink, remove_links

_SETTLE_TRIES_MAX = 500
_SETTLE_PAUSE_S = 0.001
_LINGER_S = 1.0
_PREFIX = 20  #: 2,046 processes, and as many containers
_SUBNETS = list(ipaddress.IPv4Network("10.192.0.0/10").subnets(new_prefix=_PREFIX))


class NetworkUnavailable(Exception):
    """This machine or user cannot have it; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a pod's own end of its link gets."""

    ip: str
    prefix: int
    gateway: str


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """The network that CNI plugins join containers to."""

    bridge: str
    subnet: str  #: CIDR
    first: str  #: of the addresses for containers
    last: str
    gateway: str


class Network:
    """The bridge of one node agent, and the addresses of its pods."""

    def __init__(self, bridge: str, subnet: ipaddress.IPv4Network) -> None:
        self._bridge = bridge
        self._subnet = subnet
        self._gateway = next(subnet.hosts())
        self._free = self._addresses()
        self._returned: deque[str] = deque()
        self._links: dict[str, str] = {}  #: our end of the pair, by the pod's address
        self._avoided: frozenset[str] = frozenset()
        self._number = 0
        self._tasks = TaskGroup()

    @property
    def gateway(self) -> str:
        """The node's own address in the subnet."""
        return str(self._gateway)

    @property
    def for_containers(self) -> PodNetwork:
        """What CNI plugins need for joining containers to the bridge: the subnet's upper half."""
        _, upper = self._subnet.subnets()
        addresses = (str(upper.network_address), str(upper.broadcast_address - 1))
        return PodNetwork(self._bridge, str(self._subnet), *addresses, self.gateway)

    def avoid(self, ips: Collection[str]) -> None:
        """Give these addresses away last: pods of an earlier agent had them, and may be asked for.

        Routing hears of their end a moment later than we start the first pods.
        """
        own = next(self._subnet.subnets())
        self._avoided = frozenset(ip for ip in ips if ip and ipaddress.IPv4Address(ip) in own)
        self._returned.extend(self._avoided)

    async def open(self) -> None:
        """Make the bridge; one that an earlier agent left is replaced."""
        with Netlink() as netlink:
            # While there is no bridge, what is sent to pods must not leave by the default route,
            # where who knows who has their addresses.
            netlink.refuse(self._subnet)
        remove_links([self._bridge])
        with Netlink() as netlink:
            # Without an address of its own a bridge takes that of a port, and changes it as ports
            # come and go: what pods send would be lost until they ask again (13 s, seen).
            netlink.add_bridge(self._bridge, mac_of(self.gateway))
            netlink.add_address(socket.if_nametoindex(self._bridge), self.gateway, _PREFIX)
        await self._open_egress()

    async def _open_egress(self) -> None:
        """Let pods reach the outside, if this machine has the means."""
        for command in self._egress("-D"):
            await _try(*command)
        if commands := self._egress("-A"):
            for command in commands:
                await _try(*command)
            await asyncio.to_thread(_let_forward)

    def _egress(self, how: str) -> list[list[str]]:
        """The commands that masquerade what pods send, or (``-D``) undo it."""
        table = ["table", "ip", self._bridge]
        outside = ["oifname", "!=", self._bridge]
        if shutil.which("nft") and how == "-D":
            return [["nft", "delete", *table]]
        if shutil.which("nft"):
            hook = "{ type nat hook postrouting priority 100 ; }"
            return [
                ["nft", "add", *table],
                ["nft", "add", "chain", "ip", self._bridge, "post", hook],
                ["nft", "add", "rule", "ip", self._bridge, "post",
                 "ip", "saddr", str(self._subnet), *outside, "masquerade"],
            ]  # fmt: skip
        if shutil.which("iptables"):
            return [
                ["iptables", "-t", "nat", how, "POSTROUTING", "-s", str(self._subnet),
                 "!", "-o", self._bridge, "-j", "MASQUERADE"],
            ]  # fmt: skip
        return []

    def removal(self, *, whole: bool) -> list[list[str]]:
        """The commands that remove what is left of it.

        Args:
            whole: nobody sends to its pods any more; else that goes on to be refused.
        """
        links = [sys.executable, "-m", "hearth.loader.netlink", self._bridge]
        return [[*links, *([str(self._subnet)] if whole else [])], *self._egress("-D")]

    async def attach(self, pid: int) -> Address:
        """Join the pod's namespace to the bridge; returns what its end must be given.

        Raises:
            NetworkUnavailable: no address is left.
            OSError: the kernel refuses.
        """
        ip = self._address()
        self._number += 1
        link = f"{self._bridge}v{self._number % 100_000}"
        await asyncio.to_thread(_add_veth, link, self._bridge, pid, mac_of(ip))
        self._links[ip] = link
        return Address(ip, _PREFIX, self.gateway)

    async def settle(self, ip: str) -> None:
        """Return once packets reach the pod.

        The kernel activates our end of the pair a little after the pod's end came up, and drops
        what is sent before: the first connection would wait a second for its neighbour (1 %, seen).
        """
        state = Path("/sys/class/net") / self._links[ip] / "operstate"
        for _ in range(_SETTLE_TRIES_MAX):
            if state.read_text().strip() == "up":
                return
            await asyncio.sleep(_SETTLE_PAUSE_S)

    def release(self, ip: str) -> None:
        """The pod is gone: remove its link, then let its address be given away again.

        The link stays for a moment: by it the kernel tells the pod's clients that their connections
        have ended. A namespace outlives its processes while connections of theirs time out, and
        would go on to answer for the address.
        """
        self._tasks.start(self._release(ip), name=f"release {ip}")

    async def _release(self, ip: str) -> None:
        await asyncio.sleep(_LINGER_S)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(_remove_link, self._links.pop(ip))
        self._returned.append(ip)

    async def close(self) -> None:
        """Remove the bridge, and links that outlived their pods."""
        await self._tasks.close()
        await asyncio.to_thread(remove_links, [self._bridge])
        with contextlib.suppress(OSError), Netlink() as netlink:
            netlink.refuse_no_more(self._subnet)
        for command in self._egress("-D"):
            await _try(*command)

    def _address(self) -> str:
        """A fresh address; once there are none, the one returned longest ago.

        An address that comes back at once would meet what the neighbours still remember of its
        last pod.
        """
        fresh = next((ip for ip in self._free if ip not in self._avoided), None)
        if fresh is None and not self._returned:
            raise NetworkUnavailable(f"subnet {self._subnet}: no address is left")
        return fresh or self._returned.popleft()

    def _addresses(self) -> Iterator[str]:
        lower, _ = self._subnet.subnets()
        hosts = iter(lower)
        next(hosts), next(hosts)  # the network's own, and the gateway's
        for address in hosts:
            yield str(address)


def mac_of(ip: str) -> bytes:
    """A hardware address that goes with the IP, so that neighbours' caches stay right."""
    return b"\x02\x68" + ipaddress.IPv4Address(ip).packed


def _let_forward() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _add_veth(link: str, bridge: str, pid: int, mac: bytes) -> None:
    with Netlink() as netlink:
        netlink.add_veth(link, bridge, pid, mac)


def _remove_link(link: str) -> None:
    with Netlink() as netlink:
        netlink.remove(link)


async def open_network(wish: str, identity: str) -> Network | None:
    """The network as asked: ``on``, ``off``, or ``auto`` (if root).

    Args:
        wish: from the settings.
        identity: makes the bridge's name and subnet, the same ones after a restart.

    Raises:
        NetworkUnavailable: ``on`` was asked for.
    """
    if wish == "off" or (wish == "auto" and os.geteuid() != 0):
        return None
    try:
        await _run("unshare", "--net", "true")
        network = _planned(identity)
        await network.open()
    except (NetworkUnavailable, OSError) as error:
        if wish == "on":
            raise NetworkUnavailable(f"network namespaces: {error}") from error
        return None
    return network


def planned_gateway(wish: str, identity: str) -> str:
    """The node's own address among its pods, before there is a network; empty without one."""
    if wish == "off" or (wish == "auto" and os.geteuid() != 0):
        return ""
    with contextlib.suppress(NetworkUnavailable, OSError):
        return _planned(identity).gateway
    return ""


def _planned(identity: str) -> Network:
    digest = hashlib.sha256(identity.encode()).digest()
    bridge = f"hth{digest.hex()[:5]}"
    return Network(bridge, _free_subnet(bridge, int.from_bytes(digest[:4])))


def _free_subnet(bridge: str, start: int) -> ipaddress.IPv4Network:
    used = routed(Path("/proc/net/route").read_text(), bridge)
    for offset in range(len(_SUBNETS)):
        subnet = _SUBNETS[(start + offset) % len(_SUBNETS)]
        if not any(subnet.overlaps(taken) for taken in used):
            return subnet
    raise NetworkUnavailable("every subnet of 10.192.0.0/10 is in use")


def routed(table: str, bridge: str) -> list[ipaddress.IPv4Network]:
    """The networks that ``/proc/net/route`` sends anywhere but to the bridge or the default."""
    found = []
    for line in table.splitlines()[1:]:
        link, destination, *_, mask = line.split()[:8]
        if link not in (bridge, "*") and int(mask, 16):  # "*": what is refused, as we do
            address, netmask = (
                ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(text), "little"))
                for text in (destination, mask)
            )
            found.append(ipaddress.IPv4Network(f"{address}/{netmask}", strict=False))
    return found


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await process.communicate()
    if process.returncode:
        raise NetworkUnavailable(f"{' '.join(command)}: {error.decode().strip()}")


async def _try(*command: str) -> None:
    try:
        await _run(*command)
    except (NetworkUnavailable, OSError):
        return
