"""The Kubernetes REST API over our own store, tenant-aware.

``server.ApiServer`` is a :class:`hearth.api.http.Handler`: in one process clients call it directly,
``serve`` puts it behind HTTPS. ``objects`` writes and reads objects, ``core`` decides what becomes
of them. ``open_apiserver`` puts all parts together.
"""

from hearth.apiserver.open import RunningApiServer, open_apiserver
from hearth.apiserver.server import ApiServer

__all__ = ["ApiServer", "RunningApiServer", "open_apiserver"]
