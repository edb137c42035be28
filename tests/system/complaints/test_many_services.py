"""Many services: each change costs what it changes."""

from __future__ import annotations

import itertools
import statistics
import time

from hearth.api.kinds import (
    CONFIGURATION,
    CORE_SERVICE,
    POOLED_REPLICA_SET,
    REVISION,
    ROUTE,
    SERVICE,
)
from hearth.api.meta import name_of, resource_version_of, uid_of

APP = "import os\ndef handle(request):\n    return os.environ.get('SAID', 'first')\n"
KINDS = (SERVICE, CONFIGURATION, REVISION, ROUTE, POOLED_REPLICA_SET, CORE_SERVICE)
AT_ZERO = {"initial_scale": "0"}


def test_the_hundredth_service_is_ready_as_soon_as_the_first(services):
    """knative/serving#10776, #13247: ready time does not grow with what is there."""
    services.deploy("seed", {"app.py": APP}, initial_scale=0)
    names = [f"one-of-{number}" for number in range(100)]
    took = services.times_until_ready("seed", names, **AT_ZERO)
    first, last = (statistics.quantiles(some)[0] for some in (took[:25], took[-25:]))
    services.delete(names)
    assert last < 2 * first + 0.1, (first, last)


def versions(running, without):
    """The resource versions of everything that is not this service's."""

    async def look(client):
        found = {}
        for kind in KINDS:
            for wire in (await client.list(kind, "default")).items:
                if not name_of(wire).startswith(without):
                    found[kind.kind, name_of(wire)] = (uid_of(wire), resource_version_of(wire))
        return found

    return running.api(look)


def test_deleting_one_service_writes_nothing_of_others(services):
    """knative-extensions/net-kourier#941."""
    services.deploy("seed", {"app.py": APP}, initial_scale=0)
    names = [f"stays-{number}" for number in range(20)]
    services.copies("seed", [*names, "leaves"], **AT_ZERO)
    services.ready([*names, "leaves"])
    time.sleep(3)  # whatever was begun has ended
    before = versions(services.running, "leaves")
    services.delete(["leaves"])
    time.sleep(3)
    assert versions(services.running, "leaves") == before
    assert services.running.call("leaves").status == 404
    assert services.running.call("stays-0").status == 200


def test_a_service_can_be_made_again_the_moment_it_was_deleted(services):
    """knative-extensions/net-kourier#941: delete-then-create, five times, without a pause."""
    services.deploy("again", {"app.py": APP}, initial_scale=0)
    wire = services.running.api(lambda client: client.get(SERVICE, "default", "again"))
    [container] = wire["spec"]["template"]["spec"]["containers"]
    said = itertools.count(1)
    for word in itertools.islice(said, 5):
        env = [{"name": "SAID", "value": f"word {word}"}]
        template = {**wire["spec"]["template"]}
        template["spec"] = {**template["spec"], "containers": [{**container, "env": env}]}
        made = {"metadata": {"name": "again", "namespace": "default"}}
        made["spec"] = {"template": template}

        async def again(client, made=made):
            await client.delete(SERVICE, "default", "again")
            await client.create(SERVICE, made)

        services.running.api(again)
        services.ready(["again"])
        assert services.running.call("again").body == f"word {word}".encode()
