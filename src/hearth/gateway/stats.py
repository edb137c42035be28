"""Envoy's load reports as figures for the autoscaler."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest

from hearth.api.activation import RevisionStat
from hearth.api.meta import ObjectKey
from hearth.gateway.core.routing import parse_cluster_name


class Stats:
    """Turns reports into stats: revisions with anything to say, and once those that fell silent."""

    def __init__(
        self,
        held_for: Callable[[ObjectKey], int],
        is_busy: Callable[[str, bool], None] = lambda cluster, busy: None,
        let_go_to: Callable[[ObjectKey, int], Mapping[str, int]] = lambda key, count: {},
        app_of: Callable[[ObjectKey, str], str] = lambda key, address: address,
    ) -> None:
        """Take reports.

        Args:
            held_for: how many requests the activator holds for a revision.
            let_go_to: where those are that it has let go and that have not ended, of which there
                are ``count``.
            app_of: the address of the app that Envoy reaches at an address.
            is_busy: told of each cluster reported whether it has any requests.
        """
        self._held_for = held_for
        self._is_busy = is_busy
        self._let_go_to = let_go_to
        self._app_of = app_of
        self._active: set[ObjectKey] = set()

    def take(self, report: LoadStatsRequest) -> list[RevisionStat]:
        """The stats of one report.

        Envoy shows under the cold locality what waits in the activator, which counts that itself,
        and what was let go from there: those requests are in flight until they end.
        """
        found = []
        for cluster in report.cluster_stats:
            if cluster.cluster_name.count("/") != 2:
                continue
            key = parse_cluster_name(cluster.cluster_name)
            in_flight = cold = issued = 0
            at: Counter[str] = Counter()
            for locality in cluster.upstream_locality_stats:
                if locality.locality.zone == "pods":
                    in_flight += locality.total_requests_in_progress
                    for address, count in _by_instance(locality).items():
                        at[self._app_of(key, address)] += count
                else:
                    cold += locality.total_requests_in_progress
                issued += locality.total_issued_requests
            held = self._held_for(key)
            let_go = max(0, cold - held)  # Envoy's number is a moment older
            in_flight += let_go
            at.update(self._let_go_to(key, let_go))
            active = bool(in_flight or issued or held)
            if active or key in self._active:
                figures = (in_flight, held, issued, dict(at))
                found.append(RevisionStat(key.namespace, key.name, key.tenant, *figures))
            self._is_busy(cluster.cluster_name, active)
            if active:
                self._active.add(key)
            else:
                self._active.discard(key)
        return found


def _by_instance(locality: Any) -> dict[str, int]:
    """Requests in progress by the address of each endpoint that has any."""
    found = {}
    for endpoint in locality.upstream_endpoint_stats:
        if endpoint.total_requests_in_progress:
            where = endpoint.address.socket_address
            found[f"{where.address}:{where.port_value}"] = endpoint.total_requests_in_progress
    return found


def interval_of(report: LoadStatsRequest) -> float:
    """Seconds that the report is about, as Envoy measured them; 0 when it is about nothing."""
    for cluster in report.cluster_stats:
        interval = cluster.load_report_interval
        return float(interval.seconds + interval.nanos * 1e-9)
    return 0.0
