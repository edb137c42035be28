"""Envoy's load reports as figures for the autoscaler."""

from __future__ import annotations

from collections.abc import Callable

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
    ) -> None:
        """Take reports.

        Args:
            held_for: how many requests the activator holds for a revision.
            is_busy: told of each cluster reported whether it has any requests.
        """
        self._held_for = held_for
        self._is_busy = is_busy
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
            in_flight = cold = issued = 0
            for locality in cluster.upstream_locality_stats:
                if locality.locality.zone == "pods":
                    in_flight += locality.total_requests_in_progress
                else:
                    cold += locality.total_requests_in_progress
                issued += locality.total_issued_requests
            key = parse_cluster_name(cluster.cluster_name)
            held = self._held_for(key)
            in_flight += max(0, cold - held)  # Envoy's number is a moment older
            active = bool(in_flight or issued or held)
            if active or key in self._active:
                stat = RevisionStat(key.namespace, key.name, key.tenant, in_flight, held, issued)
                found.append(stat)
            self._is_busy(cluster.cluster_name, active)
            if active:
                self._active.add(key)
            else:
                self._active.discard(key)
        return found


def interval_of(report: LoadStatsRequest) -> float:
    """Seconds that the report is about, as Envoy measured them; 0 when it is about nothing."""
    for cluster in report.cluster_stats:
        interval = cluster.load_report_interval
        return float(interval.seconds + interval.nanos * 1e-9)
    return 0.0
