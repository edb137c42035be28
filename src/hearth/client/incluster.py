"""The API server of the cluster that a process runs in as a pod.

Source: Kubernetes, "Accessing the API from within a Pod"; client-go rest.InClusterConfig.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from hearth.client.kubeconfig import KubeconfigError, Server, TokenFile

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def is_in_cluster(environ: Mapping[str, str], account: Path = ACCOUNT) -> bool:
    """Whether this process is a pod that was given a service account."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST")) and (account / "token").exists()


def in_cluster(environ: Mapping[str, str], account: Path = ACCOUNT) -> Server:
    """The server, as the pod's service account; its token is read again as it is renewed.

    Raises:
        KubeconfigError: the account's files cannot be used.
    """
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    authority = account / "ca.crt"
    try:
        context = ssl.create_default_context(cafile=authority)
        namespace = (account / "namespace").read_text().strip()
    except (OSError, ssl.SSLError) as error:
        raise KubeconfigError(f"service account {account}: {error}") from error
    named = f"[{host}]" if ":" in host else host
    return Server(f"https://{named}:{port}", "", TokenFile(account / "token"), context, namespace)
