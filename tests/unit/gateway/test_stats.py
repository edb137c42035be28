from envoy.service.load_stats.v3.lrs_pb2 import LoadStatsRequest

from hearth.api.activation import RevisionStat
from hearth.gateway.stats import Stats, interval_of

NAME = "root/default/hello-00001"


def report(*localities, cluster=NAME):
    """Of one cluster; a locality is its zone, what is in progress and what was issued."""
    stats = [
        {
            "locality": {"zone": zone},
            "total_requests_in_progress": in_progress,
            "total_issued_requests": issued,
        }
        for zone, in_progress, issued in localities
    ]
    wire = {"cluster_name": cluster, "upstream_locality_stats": stats}
    return LoadStatsRequest(cluster_stats=[wire])


def stat(in_flight, held, requests, **busy):
    return RevisionStat("default", "hello-00001", "root", in_flight, held, requests, busy)


def test_held_is_what_the_activator_has_and_all_others_are_in_flight():
    found = Stats(lambda key: 4).take(report(("pods", 3, 5), ("cold", 7, 2)))
    assert found == [stat(3 + 7 - 4, 4, 7)]


def test_requests_held_since_envoys_report_take_none_from_those_in_flight():
    assert Stats(lambda key: 9).take(report(("pods", 3, 0), ("cold", 7, 0))) == [stat(3, 9, 0)]


def test_a_revision_that_falls_silent_is_told_once():
    stats = Stats(lambda key: 0)
    silent = report(("pods", 0, 0))
    said = [stats.take(r) for r in (silent, report(("pods", 0, 1)), silent, silent)]
    assert said == [[], [stat(0, 0, 1)], [stat(0, 0, 0)], []]


def test_a_revision_with_held_requests_alone_is_told():
    assert Stats(lambda key: 1).take(report()) == [stat(0, 1, 0)]


def test_clusters_that_are_no_revisions_are_left_out():
    assert Stats(lambda key: 1).take(report(("pods", 1, 1), cluster="activator")) == []


def test_instances_with_requests_are_named_wherever_the_requests_came_from():
    said = report(("pods", 3, 0), ("cold", 2, 0))
    for host, running in (("10.0.0.1", 3), ("10.0.0.2", 0)):
        where = {"socket_address": {"address": host, "port_value": 8080}}
        [pods, _] = said.cluster_stats[0].upstream_locality_stats
        pods.upstream_endpoint_stats.add(address=where, total_requests_in_progress=running)
    asked = []

    def let_go_to(key, count):
        asked.append((key.name, count))
        return {"10.0.0.1:8080": 1, "10.0.0.3:8080": 1}

    found = Stats(lambda key: 0, let_go_to=let_go_to).take(said)
    assert found == [stat(5, 0, 0, **{"10.0.0.1:8080": 4, "10.0.0.3:8080": 1})]
    assert asked == [("hello-00001", 2)]


def test_a_report_says_which_time_it_is_about():
    late = report()
    late.cluster_stats[0].load_report_interval.FromMilliseconds(1250)
    assert (interval_of(late), interval_of(LoadStatsRequest())) == (1.25, 0)


def test_an_instance_that_is_reached_over_tls_is_named_by_its_app():
    said = report(("pods", 2, 0))
    where = {"socket_address": {"address": "10.0.0.1", "port_value": 8112}}
    [pods] = said.cluster_stats[0].upstream_locality_stats
    pods.upstream_endpoint_stats.add(address=where, total_requests_in_progress=2)
    stats = Stats(lambda key: 0, app_of=lambda key, address: address.replace("8112", "8080"))
    assert stats.take(said) == [stat(2, 0, 0, **{"10.0.0.1:8080": 2})]
