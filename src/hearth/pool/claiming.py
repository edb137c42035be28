"""One claim from beginning to end: reserve, specialise, adopt; or an ordinary pod.

Nothing here waits for a watch unless an ordinary pod must be made. The answer waits for the loader
alone; the adopting write follows beside it, so a pod with a revision's label always answers. A
crash between the two leaves a specialised pod among the warm ones: whoever claims it next is
refused by its loader, and deletes it.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace

from hearth.api.activation import Activation, ActivationError, ActivationFailure
from hearth.api.code import is_runtime, specialisation_of
from hearth.api.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound
from hearth.api.kinds import LIMIT_RANGE, NAMESPACE, POD, POD_POOL, RESOURCE_QUOTA, SECRET
from hearth.api.meta import (
    ObjectKey,
    Wire,
    annotations_of,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    spec_of,
    uid_of,
)
from hearth.api.names import PODPOOL_LABEL, SYSTEM_NAMESPACE
from hearth.api.pods import (
    app_address,
    container_port,
    has_begun,
    is_finished,
    is_ready,
    is_routable,
    user_container,
)
from hearth.api.podsecurity.levels import PRIVILEGED, policy_of
from hearth.client import Client
from hearth.client.patience import patiently
from hearth.kit.backoff import backoff_s
from hearth.kit.clock import Clock
from hearth.kit.tasks import TaskGroup
from hearth.kit.times import rfc3339_micro
from hearth.loader.protocol import Specialisation
from hearth.pool import instruments
from hearth.pool.core import claims as core
from hearth.pool.core.matching import matching_pools
from hearth.pool.core.scaling import trouble_of, was_killed
from hearth.pool.resources import (
    adopted_in_place,
    fallback_name,
    make_adoption,
    make_claimed,
    make_fallback_pod,
    probed_often,
)
from hearth.pool.specialising import Listening, Taken, secret_of, specialise
from hearth.runtime import Change, EventRecorder, Informer, Informers
from hearth.runtime.environment import EnvironmentFault, resolve_environment
from hearth.runtime.probes import Where, probe_once

log = logging.getLogger(__name__)

PODS_TRIED_MAX = 5  #: warm pods that may be lost under one claim before it falls back
#: Pods that may end while they become the app: one may have been killed, two are the app's doing.
PODS_ENDED_MAX = 2
FALLBACK_TIMEOUT_S = 120.0  #: for an ordinary pod to become ready
ADOPT_TRIES_MAX = 6
VERDICT_S = 1.0  #: for a node to say how a pod ended
PROBE_PAUSE_S = 0.005  #: between HTTP probes of an app that listens but is not ready

#: Called with the set's key when a claim ended, well or not.
OnEnd = Callable[[ObjectKey], None]


class InstanceGone(ActivationError):
    """A pod that was to be the instance is gone, and not for what it is: another may be had."""


class Claiming:
    """Carries out claims. Belongs to one event loop."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        clock: Clock,
        events: EventRecorder,
        *,
        kubelets: bool = False,
    ) -> None:
        self.kubelets = kubelets
        self._client = client
        self._clock = clock
        self._events = events
        self.claims = core.Claims()
        self.pools = informers.of(POD_POOL, label_selector="")
        self.pods: Informer = informers.of(POD, label_selector="")
        self.pods.on_change(self._pod_changed)
        self._quotas = informers.of(RESOURCE_QUOTA, label_selector="")
        self._ranges = informers.of(LIMIT_RANGE, label_selector="")
        self._namespaces = informers.of(NAMESPACE, label_selector="")
        self._tasks = TaskGroup()
        self._waiting: dict[str, asyncio.Future[Wire | None]] = {}  #: for fallback pods, by name
        self._runs_since: dict[str, float] = {}  #: of those, when a container of theirs ran
        self._warmed = asyncio.Event()  #: a pod has become warm
        self._pool_key: bytes | None = None

    async def pool_key(self) -> bytes:
        """The key that makes warm pods' secrets; read once."""
        if self._pool_key is None:
            secret = await patiently(lambda: self._client.get(SECRET, SYSTEM_NAMESPACE, "pool-key"))
            self._pool_key = base64.b64decode(secret["data"]["key"])
        return self._pool_key

    async def claim(self, replica_set: Wire) -> Activation:
        """One more instance of the set.

        Raises:
            ActivationError: it cannot be had; the claims core remembers a failure of the app.
        """
        started = self._clock.monotonic_s()
        pools, why_not = self._fitting(replica_set, await self._allowed(replica_set))
        got = await self._claim_warm(replica_set, pools, started)
        while got is None and self._needs_warm(replica_set, pools, why_not):
            await self._until_warm(replica_set, started)
            got = await self._claim_warm(replica_set, pools, started)
        if got is not None:
            return got
        why = why_not if not pools else "no warm pod is left"
        instruments.claim_ended("empty" if pools else "no_pool")
        self._events.record(replica_set, "Normal", "FellBack", f"made an ordinary pod: {why}")
        return await self._fall_back(replica_set, started)

    async def _claim_warm(
        self, replica_set: Wire, pools: tuple[str, ...], started: float
    ) -> Activation | None:
        """A warm pod that has become an instance; None when there is none to be had.

        Raises:
            ActivationError: the app does not run, or did not a moment ago.
        """
        key = key_of(replica_set)
        ended = 0
        for _ in range(PODS_TRIED_MAX):
            effect = self.claims.on(core.Claim(key, pools, self._clock.monotonic_s()))
            match effect:
                case core.Grant(pool, pod):
                    got = await self._take(replica_set, pool, pod, started)
                    if isinstance(got, Activation):
                        instruments.claim_ended("claimed")
                        return got
                    instruments.claim_ended("lost")
                    ended += got.began
                    if ended >= PODS_ENDED_MAX:
                        said = "the app's process ended while it imported the code, twice"
                        raise self._app_failed(replica_set, core.Failure("ExitedEarly", said))
                case core.Refuse(failure, again_after_s):
                    instruments.claim_ended("backing_off")
                    said = f"{failure.message} (not tried again for {again_after_s:.0f} s)"
                    raise _error(503, failure.reason, said)
                case _:
                    break
        return None

    def _needs_warm(self, replica_set: Wire, pools: tuple[str, ...], why_not: str) -> bool:
        """Whether no ordinary pod would do: a kubelet knows nothing of code packages.

        Raises:
            ActivationError: and there is no pool for it.
        """
        image = str(user_container(_pod_spec(replica_set)).get("image"))
        if not self.kubelets or not is_runtime(image):
            return False
        if pools:
            return True
        said = (
            f"image {image} runs code packages in warm pods, and no PodPool of namespace "
            f"{namespace_of(replica_set)} fits: {why_not}"
        )
        raise self._app_failed(replica_set, core.Failure("NoPodPool", said))

    async def _until_warm(self, replica_set: Wire, started: float) -> None:
        """Return once another warm pod is ready.

        Raises:
            ActivationError: none is for long.
        """
        left_s = started + FALLBACK_TIMEOUT_S - self._clock.monotonic_s()
        try:
            async with asyncio.timeout(left_s):
                await self._warmed.wait()
        except TimeoutError as error:
            said = f"no pod of the pool was warm within {FALLBACK_TIMEOUT_S:g} s"
            raise _error(504, "NoWarmPod", said) from error
        self._warmed.clear()

    async def _allowed(self, replica_set: Wire) -> Wire:
        """The pod spec of one more instance, as its namespace's policy and limits allow it.

        Raises:
            ActivationError: they do not.
        """
        key = key_of(replica_set)
        template = spec_of(spec_of(replica_set).get("template") or {})
        limits = (*self._quotas.list(), *self._ranges.list())
        namespace = self._namespaces.get(ObjectKey(key.tenant, "", key.namespace)) or {}
        is_free = policy_of(labels_of(namespace)).enforce.name == PRIVILEGED
        if is_free and not any(namespace_of(limit) == key.namespace for limit in limits):
            return template
        pod = make_fallback_pod(replica_set, fallback_name(replica_set, secrets.token_hex(3)))
        try:
            allowed = await patiently(lambda: self._client.create(POD, pod, dry_run=True))
        except Forbidden as error:
            failure = core.Failure("FailedCreate", error.message)
            raise self._app_failed(replica_set, failure) from error
        resources = user_container(spec_of(allowed)).get("resources")
        containers = [{**c, "resources": resources} for c in template.get("containers") or ()]
        return {**template, "containers": containers}

    def _fitting(self, replica_set: Wire, spec: Wire) -> tuple[tuple[str, ...], str]:
        home = namespace_of(replica_set) if self.kubelets else SYSTEM_NAMESPACE
        fitting, why_not = matching_pools(
            self.pools.list(home), {"spec": spec}, kubelets=self.kubelets
        )
        return tuple(place_of(home, name) for name in fitting), why_not

    def reserved_in(self, namespace: str) -> set[str]:
        """The names of that namespace's pods that claims are about to take away."""
        spread = (place.split("/", 1) for place in self.claims.reserved)
        return {name for where, name in spread if where == namespace}

    async def _take(
        self, replica_set: Wire, pool: str, place: str, started: float
    ) -> Activation | Taken:
        """Specialise one warm pod; ``Taken`` when it is lost and another must be taken."""
        home, pod_name = place.split("/", 1)
        pod = self.pods.get(ObjectKey(key_of(replica_set).tenant, home, pod_name))
        if pod is None:
            self.claims.on(core.PodLost(place))
            return Taken("it is gone")
        claimed_s = self._clock.monotonic_s() - started
        spec = await self._specialisation(replica_set, pod)
        secret = secret_of(await self.pool_key(), place)
        sent_s = self._clock.monotonic_s() - started
        outcome = await specialise(pod, secret, spec)
        if isinstance(outcome, Listening):
            try:
                await self._until_probe(pod, spec)
            finally:  # one that is never ready is an instance as well, and its node says how it is
                self._tasks.start(self._adopt(replica_set, pool, pod), name=f"adopt {pod_name}")
            phases = {name: sent_s + after for name, after in outcome.phases_s.items()}
            return self._activated(replica_set, pod, {"claimed": claimed_s, **phases}, "pool")
        if isinstance(outcome, Taken):
            facts = {"pod": pod_name, "because": outcome.why}
            log.warning("warm pod lost", extra={"f": facts})
            began = outcome.began and await self._ended_itself(key_of(pod))
            self._tasks.start(self._discard(pod), name=f"discard {pod_name}")
            return replace(outcome, began=began)
        self._tasks.start(self._discard(pod), name=f"discard {pod_name}")
        raise self._app_failed(replica_set, outcome)

    async def _ended_itself(self, key: ObjectKey) -> bool:
        """Whether its node says of a pod that it ended, and was not killed: else nobody knows why.

        It may have been killed with its zygote or its node's agent.
        """
        deadline = self._clock.monotonic_s() + VERDICT_S
        while self._clock.monotonic_s() < deadline:
            pod = self.pods.get(key)
            if pod is None or is_finished(pod):
                return pod is not None and not was_killed(pod)
            await asyncio.sleep(PROBE_PAUSE_S)
        return False

    async def _specialisation(self, replica_set: Wire, pod: Wire) -> Specialisation:
        template = spec_of(replica_set).get("template") or {}
        namespace = namespace_of(replica_set)
        claimed = make_claimed(replica_set, pod)
        try:
            env = await patiently(
                lambda: resolve_environment(
                    self._client, namespace, user_container(spec_of(claimed)), claimed
                )
            )
        except EnvironmentFault as error:
            failure = core.Failure("CreateContainerConfigError", str(error))
            raise self._app_failed(replica_set, failure) from error
        revision = f"{namespace}/{name_of(replica_set)}"
        told = None if self.kubelets else _told(claimed)  # a kubelet asks the API server
        return specialisation_of(spec_of(claimed), annotations_of(template), env, revision, told)

    def _app_failed(self, replica_set: Wire, failure: core.Failure) -> ActivationError:
        instruments.claim_ended("app_failed")
        key = key_of(replica_set)
        self.claims.on(core.AppFailed(key, failure, self._clock.monotonic_s()))
        self._events.record(replica_set, "Warning", failure.reason, failure.message[:1000])
        facts = {"revision": str(key), "reason": failure.reason}
        log.warning("app does not start", extra={"f": facts})
        return _error(503, failure.reason, failure.message)

    async def _until_probe(self, pod: Wire, spec: Specialisation) -> None:
        """Wait until a readiness probe by HTTP or gRPC passes, as the node would.

        Until then the pod is not adopted: it has been ready all along, as a warm one.
        """
        probe = spec.probe or {}
        if not probe.keys() & {"httpGet", "grpc"}:
            return
        ip, port = app_address(pod, spec.port)
        deadline = self._clock.monotonic_s() + spec.listen_timeout_s
        while await probe_once(probe, Where(ip, port), spec.port):
            if self._clock.monotonic_s() > deadline:
                raise _error(504, "NotReady", "the readiness probe does not pass")
            await asyncio.sleep(PROBE_PAUSE_S)

    def _activated(
        self, replica_set: Wire, pod: Wire, phases_s: dict[str, float], source: str
    ) -> Activation:
        self.claims.on(core.Succeeded(key_of(replica_set)))
        port = container_port(spec_of(spec_of(replica_set).get("template") or {}))
        ip, port = app_address(pod, port)
        where = f"{namespace_of(replica_set)}/{name_of(pod)}"
        return Activation(where, f"{ip}:{port}", phases_s, source)

    async def _adopt(self, replica_set: Wire, pool: str, pod: Wire) -> None:
        """Move the pod to its set; tried until it is done or someone else has it."""
        at = rfc3339_micro(self._clock.now())
        body = make_adoption(replica_set, pool.split("/", 1)[1], at)
        for attempt in range(ADOPT_TRIES_MAX):
            try:
                await self._write_adoption(pod, body)
            except (Conflict, NotFound) as error:
                facts = {"pod": name_of(pod), "because": str(error)}
                log.warning("warm pod not adopted", extra={"f": facts})
                return
            except Forbidden as error:  # another pod has used the quota up meanwhile
                facts = {"pod": name_of(pod), "because": str(error)}
                log.warning("warm pod not adopted", extra={"f": facts})
                await self._discard(pod)
                return
            except (ApiError, ConnectionError) as error:
                facts = {"pod": name_of(pod), "because": str(error)}
                log.warning("adoption failed", extra={"f": facts})
                await asyncio.sleep(backoff_s(attempt + 1, base_s=0.05))
            else:
                return

    async def _write_adoption(self, pod: Wire, body: Wire) -> None:
        where = namespace_of(pod), name_of(pod)
        if self.kubelets:  # the pod is in the set's namespace, and stays there
            await self._client.patch(POD, *where, adopted_in_place(pod, body))
            return
        await self._client.create(POD, body, namespace=where[0], name=where[1], subresource="adopt")

    async def _discard(self, pod: Wire) -> None:
        """Delete a spent pod; it stays reserved until it is gone."""
        try:
            await self._client.delete(
                POD, namespace_of(pod), name_of(pod), uid=uid_of(pod), grace_period_s=0
            )
        except (NotFound, Conflict):
            return
        except (ApiError, ConnectionError) as error:
            facts = {"pod": name_of(pod), "because": str(error)}
            log.warning("spent pod not deleted", extra={"f": facts})

    # Ordinary pods

    async def _fall_back(self, replica_set: Wire, started: float) -> Activation:
        """Make an ordinary pod and wait until it is ready."""
        name = fallback_name(replica_set, secrets.token_hex(3))
        pod = make_fallback_pod(replica_set, name)
        if self.kubelets:
            pod = probed_often(pod)
        ready = asyncio.get_running_loop().create_future()
        self._waiting[name] = ready
        try:
            await patiently(lambda: self._client.create(POD, pod))
            created_s = self._clock.monotonic_s() - started
            async with asyncio.timeout(FALLBACK_TIMEOUT_S):
                found = await ready
        except AlreadyExists:
            return await self._fall_back(replica_set, started)
        except Forbidden as error:
            failure = core.Failure("FailedCreate", error.message)
            raise self._app_failed(replica_set, failure) from error
        except (ApiError, ConnectionError) as error:
            raise _error(503, "PodNotCreated", f"no pod could be made: {error}") from error
        except TimeoutError as error:
            said = f"pod {name}: is not ready after {FALLBACK_TIMEOUT_S:g} s"
            raise _error(504, "PodNotReady", said) from error
        finally:
            self._waiting.pop(name, None)
            runs_since = self._runs_since.pop(name, None)
        if found is None:
            said = f"pod {name}: is gone before it was ready"
            raise InstanceGone(ActivationFailure(503, "PodGone", said))
        pod = found
        if (trouble := trouble_of([pod])) is not None and not is_routable(pod):
            raise self._app_failed(replica_set, core.Failure(*trouble))
        listening_s = self._clock.monotonic_s() - started
        runs_s = listening_s if runs_since is None else runs_since - started
        phases = {"claimed": created_s, "injected": runs_s, "listening": listening_s}
        image = str(user_container(spec_of(pod)).get("image"))
        return self._activated(replica_set, pod, phases, "new" if is_runtime(image) else "image")

    # Watching

    def _pod_changed(self, change: Change) -> None:
        pod = change.object
        self._tell_waiting(change.key.name, change.new)
        pool, home = labels_of(pod).get(PODPOOL_LABEL), change.key.namespace
        if not self.kubelets and home != SYSTEM_NAMESPACE:
            return
        if change.new is None or pool is None:
            self.claims.on(core.PodLost(place_of(home, change.key.name)))
        elif not is_ready(pod):
            self.claims.on(core.PodUnready(place_of(home, change.key.name)))
        else:
            self.claims.on(core.PodWarm(place_of(home, pool), place_of(home, change.key.name)))
            self._warmed.set()

    def _tell_waiting(self, name: str, pod: Wire | None) -> None:
        waiting = self._waiting.get(name)
        if waiting is None or waiting.done():
            return
        if pod is None or is_deleting(pod) or (is_finished(pod) and trouble_of([pod]) is None):
            waiting.set_result(None)
            return
        if has_begun(pod):
            self._runs_since.setdefault(name_of(pod), self._clock.monotonic_s())
        if is_routable(pod) or trouble_of([pod]) is not None:
            waiting.set_result(pod)

    async def close(self) -> None:
        """Stop what runs beside."""
        await self._tasks.close()


def place_of(namespace: str, name: str) -> str:
    """How the claims core calls pools and pods."""
    return f"{namespace}/{name}"


def _pod_spec(replica_set: Wire) -> Wire:
    return spec_of(spec_of(replica_set).get("template") or {})


def _told(claimed: Wire) -> Wire:
    """What a claimed pod's node is told of it: not what it runs, which the loader knows."""
    return {name: claimed[name] for name in ("metadata", "spec")}


def _error(status: int, reason: str, message: str) -> ActivationError:
    return ActivationError(ActivationFailure(status, reason, message))
