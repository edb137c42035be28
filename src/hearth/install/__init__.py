"""What Hearth is on a cluster: the manifests, and putting them there.

``manifests`` is the one source: ``hearth manifests`` prints it, ``hearth install`` applies it,
``hearth uninstall`` removes it. ``checking`` looks for what is missing or wrong.
"""

from hearth.install.checking import Finding, check
from hearth.install.manifests import make_manifests
from hearth.install.options import Options

__all__ = ["Finding", "Options", "check", "make_manifests"]
