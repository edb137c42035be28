"""A pod finds its cluster's API server, and a token that is renewed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hearth.client.incluster import in_cluster, is_in_cluster
from hearth.client.kubeconfig import TOKEN_AGE_S, KubeconfigError, TokenFile
from hearth.kit.x509 import make_authority
from tests.unit.admission.test_authority import NOW

ENVIRON = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def account(tmp_path):
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("here")
    authority = make_authority("cluster", timedelta(days=1), NOW)
    (tmp_path / "ca.crt").write_bytes(authority.certificate)
    return tmp_path


def test_the_variables_name_the_server_and_the_files_who_we_are(account):
    server = in_cluster(ENVIRON, account)
    assert (server.url, str(server.token), server.namespace) == (
        "https://10.0.0.1:443", "first", "here",
    )  # fmt: skip


def test_an_ipv6_address_is_bracketed(account):
    url = in_cluster({**ENVIRON, "KUBERNETES_SERVICE_HOST": "fd00::1"}, account).url
    assert url == "https://[fd00::1]:443"


@pytest.mark.parametrize(
    ("environ", "has_token", "wanted"),
    [
        pytest.param(ENVIRON, True, True, id="a-pod"),
        pytest.param({}, True, False, id="no-variables"),
        pytest.param(ENVIRON, False, False, id="no-account"),
    ],
)
def test_what_is_a_pod_of_a_cluster(account, environ, has_token, wanted):
    if not has_token:
        (account / "token").unlink()
    assert is_in_cluster(environ, account) == wanted


def test_an_account_without_an_authority_is_named(account):
    (account / "ca.crt").unlink()
    with pytest.raises(KubeconfigError, match="service account"):
        in_cluster(ENVIRON, account)


def test_a_token_is_read_again_after_a_minute_and_kept_while_it_cannot_be(tmp_path):
    now = [0.0]
    path = tmp_path / "token"
    path.write_text("first")
    token = TokenFile(path, lambda: now[0])
    assert str(token) == "first"
    path.write_text("second\n")
    assert str(token) == "first"
    now[0] = TOKEN_AGE_S + 1
    assert str(token) == "second"
    path.unlink()
    now[0] *= 3
    assert str(token) == "second"
