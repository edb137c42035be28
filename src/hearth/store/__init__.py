"""The store: keys in directories by tenant, one revision counter, compare-and-swap, watch.

Keys are ``/registry/<tenant>/<group>/<resource>/<namespace>/<name>`` (``core.keys``). Every write
gets the next revision; a watch continues from any revision that is still kept. ``core.mvcc``
decides, ``memory`` and ``sqlite`` keep. Only the API server imports this package.
"""

from hearth.store.backend import Backend, StoreUnavailable
from hearth.store.core.mvcc import Compacted, Entry, Event, KeyExists, Mismatch, Put, Remove
from hearth.store.open import open_store
from hearth.store.watch import Watch

__all__ = [
    "Backend",
    "Compacted",
    "Entry",
    "Event",
    "KeyExists",
    "Mismatch",
    "Put",
    "Remove",
    "StoreUnavailable",
    "Watch",
    "open_store",
]
