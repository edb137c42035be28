"""What whoever runs the platform decides, and revisions cannot exceed."""

from __future__ import annotations

import pytest

from hearth.api.errors import Invalid, NotFound
from hearth.api.kinds import CONFIG_MAP, SERVICE
from hearth.api.names import KNATIVE_NAMESPACE


@pytest.fixture
def limited(services):
    """A ceiling of 5 instances for each revision."""
    running = services.running
    data = {"max-scale-limit": "5", "max-scale": "3"}
    meta = {"name": "config-autoscaler", "namespace": KNATIVE_NAMESPACE}

    async def put(client):
        try:
            await client.patch(CONFIG_MAP, KNATIVE_NAMESPACE, meta["name"], {"data": data})
        except NotFound:
            await client.create(CONFIG_MAP, {"metadata": meta, "data": data})

    running.api(put)
    yield running
    gone = {"data": dict.fromkeys(data)}
    running.api(lambda client: client.patch(CONFIG_MAP, KNATIVE_NAMESPACE, meta["name"], gone))


def asking(limit):
    named = {} if limit is None else {"autoscaling.knative.dev/max-scale": limit}
    template = {
        "metadata": {"annotations": {"autoscaling.knative.dev/initial-scale": "0", **named}},
        "spec": {"containers": [{"image": "dev.local/none:1"}]},
    }
    return {"metadata": {"name": "bounded", "namespace": "default"}, "spec": {"template": template}}


@pytest.mark.parametrize("limit", ["6", "0"], ids=["above", "unlimited"])
def test_a_revision_cannot_ask_for_more_than_the_ceiling(limited, limit):
    """knative/serving#8628."""
    with pytest.raises(Invalid, match="max-scale"):
        limited.api(lambda client: client.create(SERVICE, asking(limit)))


@pytest.mark.parametrize("limit", ["5", None], ids=["the-ceiling", "the-default"])
def test_a_revision_may_ask_for_what_is_below_it(limited, limit):
    """knative/serving#8628."""
    limited.api(lambda client: client.create(SERVICE, asking(limit)))
    limited.api(lambda client: client.delete(SERVICE, "default", "bounded"))
