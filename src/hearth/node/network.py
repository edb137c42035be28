"""A network namespace per pod: a bridge with a subnet of its own, a veth pair per pod.

Needs root and ``ip`` (and ``nsenter``). Pods reach the outside where nft is present.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import os
import shutil
from collections import deque
from collections.abc import Iterator

_PREFIX = 20  #: 4,093 pods
_SUBNETS = list(ipaddress.IPv4Network("10.192.0.0/10").subnets(new_prefix=_PREFIX))


class NetworkUnavailable(Exception):
    """This machine or user cannot have it; the message says why."""


class Network:
    """The bridge of one node agent, and the addresses of its pods."""

    def __init__(self, bridge: str, subnet: ipaddress.IPv4Network) -> None:
        self._bridge = bridge
        self._subnet = subnet
        self._gateway = next(subnet.hosts())
        self._free = self._addresses()
        self._returned: deque[str] = deque()
        self._number = 0

    @property
    def gateway(self) -> str:
        """The node's own address in the subnet."""
        return str(self._gateway)

    async def open(self) -> None:
        """Make the bridge; one that an earlier agent left is replaced."""
        await _try("ip", "link", "del", self._bridge)
        await _run(
            "ip", "-batch", "-",
            # Without an address of its own a bridge takes that of a port, and changes it as ports
            # come and go: what pods send would be lost until they ask again (13 s, seen).
            given=f"link add {self._bridge} address {_mac(self.gateway)} type bridge\n"
            f"addr add {self._gateway}/{_PREFIX} dev {self._bridge}\n"
            f"link set {self._bridge} up\n",
        )  # fmt: skip
        if shutil.which("nft"):
            table = f"table ip {self._bridge}"
            await _try("nft", "delete", *table.split())
            await _try(
                "nft", "-f", "-",
                given=f"{table} {{ chain post {{ type nat hook postrouting priority 100;\n"
                f"ip saddr {self._subnet} oifname != {self._bridge} masquerade }} }}\n",
            )  # fmt: skip
            await _try("sysctl", "-qw", f"net.ipv4.conf.{self._bridge}.forwarding=1")

    @property
    def removal(self) -> list[list[str]]:
        """The commands that remove what is left of it."""
        nft = [["nft", "delete", "table", "ip", self._bridge]] if shutil.which("nft") else []
        return [["ip", "link", "del", self._bridge], *nft]

    async def attach(self, pid: int) -> str:
        """Give the pod's namespace an address; returns it."""
        ip = self._address()
        self._number += 1
        host = f"{self._bridge[:8]}v{self._number % 100000}"
        await _run(
            "ip", "-batch", "-",
            given=f"link add {host} type veth peer name eth0 address {_mac(ip)} netns {pid}\n"
            f"link set {host} master {self._bridge} up\n",
        )  # fmt: skip
        await _run(
            "nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-",
            given=f"link set lo up\naddr add {ip}/{_PREFIX} dev eth0\nlink set eth0 up\n"
            f"route add default via {self._gateway}\n",
        )  # fmt: skip
        return ip

    def release(self, ip: str) -> None:
        """The pod is gone; its address may be given away again."""
        self._returned.append(ip)

    async def close(self) -> None:
        """Remove the bridge; the pods' ends went with their namespaces."""
        for command in self.removal:
            await _try(*command)

    def _address(self) -> str:
        """A fresh address; once there are none, the one returned longest ago.

        An address that comes back at once would meet what the neighbours still remember of its
        last pod.
        """
        fresh = next(self._free, None)
        if fresh is None and not self._returned:
            raise NetworkUnavailable(f"subnet {self._subnet}: no address is left")
        return fresh or self._returned.popleft()

    def _addresses(self) -> Iterator[str]:
        hosts = self._subnet.hosts()
        next(hosts)  # the gateway's
        for address in hosts:
            yield str(address)


def _mac(ip: str) -> str:
    """A hardware address that goes with the IP, so that neighbours' caches stay right."""
    return "02:68:" + ":".join(f"{int(part):02x}" for part in ip.split("."))


async def open_network(wish: str, identity: str) -> Network | None:
    """The network as asked: ``on``, ``off``, or ``auto`` (if root and ``ip`` are there).

    Args:
        wish: from the settings.
        identity: makes the bridge's name and subnet, the same ones after a restart.

    Raises:
        NetworkUnavailable: ``on`` was asked for.
    """
    if wish == "off" or (wish == "auto" and (os.geteuid() != 0 or not shutil.which("ip"))):
        return None
    digest = hashlib.sha256(identity.encode()).digest()
    bridge = f"hth{digest.hex()[:5]}"
    try:
        network = Network(bridge, await _free_subnet(bridge, int.from_bytes(digest[:4])))
        await network.open()
    except (NetworkUnavailable, OSError) as error:
        if wish == "on":
            raise NetworkUnavailable(f"network namespaces: {error}") from error
        return None
    return network


async def _free_subnet(bridge: str, start: int) -> ipaddress.IPv4Network:
    routes = json.loads(await _run("ip", "-j", "-4", "route", "show", "table", "all"))
    used = [
        ipaddress.IPv4Network(route["dst"], strict=False)
        for route in routes
        if route.get("dst", "default") != "default" and route.get("dev") != bridge
        and "/" in route["dst"]
    ]  # fmt: skip
    for offset in range(len(_SUBNETS)):
        subnet = _SUBNETS[(start + offset) % len(_SUBNETS)]
        if not any(subnet.overlaps(taken) for taken in used):
            return subnet
    raise NetworkUnavailable("every subnet of 10.192.0.0/10 is in use")


async def _run(*command: str, given: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(given.encode() or None)
    if process.returncode:
        raise NetworkUnavailable(f"{' '.join(command)}: {err.decode().strip()}")
    return out.decode()


async def _try(*command: str, given: str = "") -> None:
    try:
        await _run(*command, given=given)
    except (NetworkUnavailable, OSError):
        return
