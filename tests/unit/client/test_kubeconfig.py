import base64

import pytest
import yaml

from hearth.client.kubeconfig import KubeconfigError, load_kubeconfig


def write(tmp_path, **changes):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:6443/clusters/acme"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        **changes,
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_current_context_names_server_prefix_and_token(tmp_path):
    server = load_kubeconfig(write(tmp_path))
    assert (server.url, server.prefix) == ("http://127.0.0.1:6443", "/clusters/acme")
    assert (server.token, server.namespace, server.ssl) == ("secret", "default", None)


def test_an_exec_plugin_gives_the_token(tmp_path):
    printed = '{"status": {"token": "from-plugin"}}'
    user = {"exec": {"command": "echo", "args": [printed]}}
    server = load_kubeconfig(write(tmp_path, users=[{"name": "u", "user": user}]))
    assert server.token == "from-plugin"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"current-context": "gone"}, "no context named 'gone'", id="context"),
        pytest.param({"clusters": []}, "no cluster named 'c'", id="cluster"),
        pytest.param({"clusters": [{"name": "c", "cluster": {}}]}, "has no server", id="server"),
    ],
)
def test_what_is_missing_is_named(tmp_path, changes, said):
    with pytest.raises(KubeconfigError, match=said):
        load_kubeconfig(write(tmp_path, **changes))


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(KubeconfigError, match="nowhere"):
        load_kubeconfig(tmp_path / "nowhere")


def test_a_broken_certificate_is_an_error_and_not_a_skipped_check(tmp_path):
    bad = base64.b64encode(b"not a certificate").decode()
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": bad}
    path = write(tmp_path, clusters=[{"name": "c", "cluster": cluster}])
    with pytest.raises(KubeconfigError, match="certificate-authority"):
        load_kubeconfig(path)
