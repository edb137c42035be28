"""The Kubernetes client: typed verbs over a handler (in process) or HTTPS.

Start with ``client.Client``. ``http.HttpHandler`` speaks HTTPS to a server named by a kubeconfig
(``kubeconfig.load_kubeconfig``); in one process the API server itself is the handler.
"""

from hearth.client.client import Client, PatchType, WatchEvent, WireList

__all__ = ["Client", "PatchType", "WatchEvent", "WireList"]
