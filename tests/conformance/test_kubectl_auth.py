"""kubectl's questions about rights, and the tokens that it makes."""

from __future__ import annotations


def test_auth(tools):
    assert "admin" in tools.kubectl("auth", "whoami").out
    assert tools.kubectl("auth", "can-i", "delete", "pods").out == "yes\n"
    tools.kubectl("create", "serviceaccount", "robot")
    token = tools.kubectl("create", "token", "robot").out.strip()
    me = tools.kubectl("auth", "whoami", "--token", token).out
    assert "system:serviceaccount:default:robot" in me
    can = ("auth", "can-i", "--token", token)
    assert tools.kubectl(*can, "list", "pods", fails=True).out == "no\n"
    tools.kubectl(
        "create", "rolebinding", "robots", "--clusterrole=view", "--serviceaccount=default:robot"
    )
    assert tools.kubectl(*can, "list", "pods").out == "yes\n"
    assert "pods" in tools.kubectl(*can, "--list").out
    assert "No resources" in tools.kubectl("get", "pods", "--token", token).err
    said = tools.kubectl("get", "secrets", "--token", token, fails=True).err
    assert 'User "system:serviceaccount:default:robot" cannot list resource "secrets"' in said
    as_robot = "--as=system:serviceaccount:default:robot"
    assert tools.kubectl("auth", "can-i", "list", "pods", as_robot).out == "yes\n"
    assert tools.kubectl("auth", "can-i", "delete", "pods", as_robot, fails=True).out == "no\n"
