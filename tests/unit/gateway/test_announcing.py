"""Where a gateway says that it is."""

import pytest

from hearth.api.kinds import CORE_SERVICE, ENDPOINTS, NAMESPACE
from hearth.gateway.announcing import Place, announce
from tests.unit.apiserver.running import run


def announced(folder, host):
    async def told(api):
        await api.client.create(NAMESPACE, {"metadata": {"name": "knative-serving"}})
        for port in (80, 8080):  # it has been there before
            await announce(api.client, Place(host, port, 8443, "10.217.16.1", 80))
        service = await api.client.get(CORE_SERVICE, "hearth-system", "gateway")
        held = await api.client.get(ENDPOINTS, "knative-serving", "activator-service")
        await api.client.get(CORE_SERVICE, "knative-serving", "activator-service")
        return service, held

    return run(folder, told)


@pytest.mark.parametrize(("host", "address"), [
    pytest.param("127.0.0.1", "127.0.0.1", id="loopback"),
    pytest.param("0.0.0.0", "10.217.16.1", id="all"),
])  # fmt: skip
def test_a_gateway_is_found_by_its_service(tmp_path, host, address):
    service, held = announced(tmp_path, host)
    assert service["spec"]["type"] == "LoadBalancer"
    ports = {port["port"]: port["nodePort"] for port in service["spec"]["ports"]}
    assert ports == {80: 8080, 443: 8443, 8080: 8080, 8443: 8443}
    assert service["status"]["loadBalancer"]["ingress"] == [{"ip": address}]
    [subset] = held["subsets"]
    assert (subset["addresses"], subset["ports"][0]["port"]) == ([{"ip": "10.217.16.1"}], 80)
