"""The image that holds a pod's namespaces: one program that ignores its children and sleeps.

Made here because a machine may reach no registry, and a pull would delay its first pod.
"""

from __future__ import annotations

import platform
import struct

from hearth.node.cri.archives import image_archive

IMAGE = "hearth.dev/pause:1"
_BASE = 0x400000
_HEADERS = 64 + 56

#: rt_sigaction(SIGCHLD, {SIG_IGN, SA_RESTORER | SA_NOCLDWAIT}) so that nothing becomes a zombie;
#: then pause() for ever. The last four quads are the struct sigaction.
_CODE_X86_64 = bytes.fromhex(
    "b80d000000 bf11000000 488d3513000000 31d2 41ba08000000 0f05 b822000000 0f05 ebf7"
) + struct.pack("<4Q", 1, 0x0400_0002, 0, 0)


def can_be_made() -> bool:
    """Whether the program is known for this machine's processor."""
    return platform.machine() == "x86_64"


def program() -> bytes:
    """The program, an ELF file for x86-64."""
    size = _HEADERS + len(_CODE_X86_64)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = identity + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + _CODE_X86_64


def archive() -> bytes:
    """The image as ``docker save`` would write it."""
    return image_archive(IMAGE, {"pause": program()}, ["/pause"])
