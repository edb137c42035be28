"""The base of all images: CPython 3.11 and its libraries, from Debian 12's packages.

The packages come from the machine's own apt, which checks their signatures. Their scripts are not
run; what those would have done here is a list of authorities, users, and bytecode.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tools.images.oci import File, Tree, tree_of

PACKAGES = (
    "base-files", "ca-certificates", "libbz2-1.0", "libc6", "libcrypt1", "libexpat1", "libffi8",
    "libgcc-s1", "liblzma5", "libpython3.11-minimal", "libpython3.11-stdlib", "libsqlite3-0",
    "libssl3", "libstdc++6", "libuuid1", "media-types", "python3.11-minimal", "tzdata", "zlib1g",
)  # fmt: skip
PYTHON = "/usr/bin/python3.11"
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"

_MERGED = ("bin", "lib", "lib64", "sbin")  #: Debian 12 has these in /usr
#: What no program reads.
_UNUSED = re.compile(
    r"usr/share/(?!ca-certificates|zoneinfo|doc/[^/]+/copyright)|usr/lib/mime/|var/|etc/(?!mime)"
    r"|usr/lib/x86_64-linux-gnu/(gconv|audit)/|usr/share/zoneinfo/(right|posix)/"
    r"|usr/lib/python3\.11/(lib2to3|idlelib|turtledemo|ensurepip|pydoc_data)/"
    r"|(boot|home|media|mnt|opt|proc|root|run|srv|sys|dev|tmp)/"
)
_USERS = b"root:x:0:0:root:/root:/none\nnonroot:x:65532:65532:nonroot:/tmp:/none\n"
_GROUPS = b"root:x:0:\nnonroot:x:65532:\n"


def fetch_packages(folder: Path) -> list[Path]:
    """Download the packages, unless they are there; returns their files, in the list's order."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in PACKAGES if not list(folder.glob(f"{name}_*.deb"))]
    if wanted:
        command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "-qq", *wanted]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"images: apt-get download: {done.stderr.strip()}")
    return [next(folder.glob(f"{name}_*.deb")) for name in PACKAGES]


def unpack(packages: list[Path], folder: Path) -> None:
    """The packages' files, everything in /usr."""
    (folder / "usr").mkdir(parents=True)
    for name in _MERGED:
        (folder / "usr" / name).mkdir()
        (folder / name).symlink_to(f"usr/{name}")
    for package in packages:
        stream = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", str(package)], check=True, capture_output=True
        ).stdout
        options = ["--keep-directory-symlink", "--no-same-owner", "--no-same-permissions"]
        subprocess.run(["tar", "-x", *options, "-C", str(folder)], input=stream, check=True)


def compile_python(root: Path, folders: dict[Path, str]) -> None:
    """Write the bytecode of folders by the tree's own Python.

    It names no time and is not checked against one: what is read-only does not change.

    Args:
        root: the unpacked tree.
        folders: what to compile, each with its path in the image.
    """
    libraries = root / "usr/lib" / f"{os.uname().machine}-linux-gnu"
    loader = next((root / "usr/lib64").glob("ld-linux-*"), None) or next(
        (root / "usr/lib").glob("ld-linux-*")
    )
    python = [str(loader), "--library-path", str(libraries), str(root / "usr/bin/python3.11")]
    environment = {
        "PYTHONHOME": str(root / "usr"), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    for folder, path in folders.items():
        arguments = ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
        arguments += ["-s", str(folder), "-p", path, str(folder)]
        subprocess.run([*python, *arguments], env=environment, check=False, capture_output=True)


def base_tree(root: Path) -> Tree:
    """The base's files, from an unpacked and compiled tree."""
    tree = {name: file for name, file in tree_of(root, "").items() if not _UNUSED.match(name)}
    roots = sorted(name for name in tree if name.startswith("usr/share/ca-certificates/"))
    tree[AUTHORITIES] = File(b"".join(tree.pop(name).data for name in roots))
    tree["etc/passwd"], tree["etc/group"] = File(_USERS), File(_GROUPS)
    tree["tmp"] = File(is_folder=True, mode=0o1777)
    return tree


def versions(packages: list[Path]) -> str:
    """``name=version`` of each, for an image's label."""
    return " ".join(path.stem.rpartition("_")[0].replace("_", "=", 1) for path in packages)
