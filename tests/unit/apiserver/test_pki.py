"""Certificates are made once, renewed in time, and private."""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest
import yaml
from cryptography import x509

from hearth.apiserver import pki as module
from hearth.apiserver.pki import PkiError, open_pki, write_kubeconfig


def certificate(pki):
    return x509.load_pem_x509_certificate(pki.certificate.read_bytes())


def test_the_certificate_serves_the_names_we_are_called_by(tmp_path):
    pki = open_pki(tmp_path / "pki")
    names = certificate(pki).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "*.hearth-system.svc"} <= set(names.get_values_for_type(x509.DNSName))
    found = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert found == {"127.0.0.1", "::1"}
    pki.server_context()
    ssl.create_default_context(cafile=str(pki.ca))


def test_keys_are_their_owners_only(tmp_path):
    open_pki(tmp_path / "pki")
    exposed = [f.name for f in (tmp_path / "pki").iterdir() if f.stat().st_mode & 0o077]
    assert exposed == []


def test_what_is_good_is_kept(tmp_path):
    first = certificate(open_pki(tmp_path / "pki"))
    assert certificate(open_pki(tmp_path / "pki")) == first


def test_another_host_needs_another_certificate_of_the_same_authority(tmp_path):
    first = open_pki(tmp_path / "pki")
    authority, served = first.ca.read_bytes(), certificate(first)
    second = certificate(open_pki(tmp_path / "pki", "192.0.2.7"))
    assert second != served
    assert first.ca.read_bytes() == authority


def test_a_certificate_that_ends_soon_is_renewed(tmp_path, monkeypatch):
    first = certificate(open_pki(tmp_path / "pki"))
    later = first.not_valid_after_utc - timedelta(days=29)

    class Later(module.datetime):
        @classmethod
        def now(cls, tz=None):
            return later

    monkeypatch.setattr(module, "datetime", Later)
    assert certificate(open_pki(tmp_path / "pki")).not_valid_after_utc > first.not_valid_after_utc


@pytest.mark.parametrize("file", ["server.crt", "server.key"])
def test_a_broken_server_certificate_is_made_anew(tmp_path, file):
    pki = open_pki(tmp_path / "pki")
    (tmp_path / "pki" / file).write_text("broken")
    open_pki(tmp_path / "pki").server_context()
    assert certificate(pki)


@pytest.mark.parametrize("file", ["ca.crt", "ca.key"])
def test_a_broken_authority_is_named_and_left_alone(tmp_path, file):
    open_pki(tmp_path / "pki")
    (tmp_path / "pki" / file).write_text("broken")
    with pytest.raises(PkiError, match=file):
        open_pki(tmp_path / "pki")
    assert (tmp_path / "pki" / file).read_text() == "broken"


def test_an_authority_with_the_key_of_another_is_refused(tmp_path):
    open_pki(tmp_path / "one")
    other = open_pki(tmp_path / "two")
    other.ca.with_name("ca.key").replace(tmp_path / "one" / "ca.key")
    with pytest.raises(PkiError, match="is not the key of"):
        open_pki(tmp_path / "one")


def test_a_kubeconfig_is_whole_and_private(tmp_path):
    pki, file = open_pki(tmp_path / "pki"), tmp_path / "kubeconfig"
    write_kubeconfig(file, "https://127.0.0.1:6443", pki, "admin", "secret")
    assert file.stat().st_mode & 0o077 == 0
    config = yaml.safe_load(file.read_text())
    assert config["users"][0]["user"] == {"token": "secret"}
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
