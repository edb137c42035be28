"""Names that are made from other names."""

from __future__ import annotations

import hashlib

NAME_MAX = 63  #: characters of a DNS label
_DIGEST_LENGTH = 32  #: hexadecimal digits of an MD5


def child_name(parent: str, suffix: str) -> str:
    """``parent + suffix``; a name over 63 characters is cut and made unique by a digest.

    Args:
        parent: the owner's name.
        suffix: at most 30 characters.

    Source:
        knative.dev/pkg/kmeta ChildName.
    """
    assert len(suffix) < NAME_MAX - _DIGEST_LENGTH, suffix
    if len(parent) <= NAME_MAX - len(suffix):
        return parent + suffix
    digest = hashlib.md5(parent.encode(), usedforsecurity=False).hexdigest()
    return parent[: NAME_MAX - _DIGEST_LENGTH - len(suffix)] + digest + suffix
