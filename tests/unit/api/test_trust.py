from datetime import UTC, datetime, timedelta

from hearth.api.trust import bundle, bundled
from hearth.kit.x509 import make_authority

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = make_authority("old", 2 * DAY, NOW - 3 * DAY).certificate.decode()
ONE = make_authority("one", 9 * DAY, NOW).certificate.decode()
TWO = make_authority("two", 9 * DAY, NOW).certificate.decode()


def test_a_bundle_has_each_authority_once_and_none_that_has_ended():
    assert bundle([ONE, TWO + OLD, ONE], NOW) == ONE + TWO
    assert bundle([], NOW) == ""


def test_what_is_no_certificate_takes_nobody_elses_trust_away():
    assert bundle(["no PEM", ONE], NOW) == ONE


def test_only_labelled_maps_give_something_to_be_trusted():
    data = {"b.pem": TWO, "a.pem": ONE}
    labels = {"networking.knative.dev/trust-bundle": "true"}
    assert bundled({"metadata": {"name": "m", "labels": labels}, "data": data}) == [ONE, TWO]
    assert bundled({"metadata": {"name": "m", "labels": labels}}) == []
    assert bundled({"metadata": {"name": "m"}, "data": data}) == []
