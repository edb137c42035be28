"""Gives this process what its pod asks for: volumes, a user, fewer rights. Nothing can be undone.

Source: Kubernetes' SecurityContext; credentials(7), capabilities(7), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from hearth.loader.mounts import Bind, bind_all, leave_shared_view
from hearth.loader.packages import CodeError
from hearth.loader.protocol import Identity

_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 38, 23, 24
_NO_GROUP = 65534  #: of a user without a group of its own (``nogroup``)
CODE_TARGET = Path("/workspace")  #: where a user who may not look into our folders finds its code
LAYER_TARGET = Path("/layers/python")
_libc = ctypes.CDLL(None, use_errno=True)


def confine(
    identity: Identity, binds: Sequence[Bind], code: Path, layer: Path | None
) -> tuple[Path, Path | None]:
    """Mount the volumes and become the user; returns where code and layer are from now on.

    Raises:
        CodeError: this machine or our user does not allow it (``CreateContainerError``), or it asks
            for what cannot be (``CreateContainerConfigError``).
    """
    identity = identity.seen_by(os.geteuid())
    if fault := identity.fault(os.geteuid()):
        raise CodeError("CreateContainerConfigError", fault)
    changes_user = identity.user is not None and identity.user != os.geteuid()
    wanted = list(binds)
    if changes_user:
        wanted.append(Bind(str(code), str(CODE_TARGET), True))
        code = CODE_TARGET
        if layer is not None:
            wanted.append(Bind(str(layer), str(LAYER_TARGET), True))
            layer = LAYER_TARGET
    try:
        if wanted:
            leave_shared_view()
            bind_all(wanted)
        _become(identity)
    except OSError as error:
        raise CodeError("CreateContainerError", f"the pod cannot be confined: {error}") from error
    return code, layer


def _become(identity: Identity) -> None:
    if identity.drops_rights:
        number = 0
        while _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
            if _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0):
                break  # we may drop none: then we have none to hand on
            number += 1
    if identity.user is not None or identity.group is not None:
        group = identity.group if identity.group is not None else _group_of(identity.user)
        if os.geteuid() == 0:
            os.setgroups(sorted({group, *identity.groups}))
        if group != os.getegid():
            os.setresgid(group, group, group)
        if identity.user is not None and identity.user != os.geteuid():
            os.setresuid(identity.user, identity.user, identity.user)
    elif identity.groups and os.geteuid() == 0:
        os.setgroups(sorted(identity.groups))
    if identity.no_new_privileges:
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _group_of(user: int | None) -> int:
    """The user's own group, as far as this machine knows the user."""
    if user is None or user == os.geteuid():
        return os.getegid()
    import pwd

    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return _NO_GROUP
