import pytest

from hearth.api.config import AcmeConfig, read_acme

SERVER = "https://acme.example.com/directory"


def test_a_server_is_read():
    said = {"server": SERVER, "email": "a@example.com", "ca-bundle": "PEM", "_example": "x"}
    assert read_acme(said) == AcmeConfig(SERVER, "a@example.com", "PEM")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param({}, "server: found '', expected the https URL", id="none"),
        pytest.param({"server": "http://a.com"}, "expected the https URL", id="plain"),
        pytest.param({"server": SERVER, "mail": "a"}, "mail: is not known", id="unknown key"),
    ],
)
def test_what_cannot_be_used_is_refused(data, said):
    with pytest.raises(ValueError, match=said):
        read_acme(data)
