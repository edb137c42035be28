"""Services of code on the shared platform, gone after the test."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from hearth.api.kinds import POD, POOLED_REPLICA_SET, SERVICE
from hearth.api.meta import is_condition_true, is_deleting, name_of
from hearth.api.names import SERVICE_LABEL
from hearth.api.pods import is_ready
from tests.system.running import eventually


class Services:
    """Deploys services and looks at them."""

    def __init__(self, running, folder):
        self.running = running
        self.names = []
        self._folder = folder

    def deploy(self, name, files, *flags, **annotations):
        """Deploy; ``annotations`` are of ``autoscaling.knative.dev``, with underscores."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        for file, text in files.items():
            (folder / file).write_text(text)
        named = [f"{key.replace('_', '-')}={value}" for key, value in annotations.items()]
        said = [w for each in named for w in ("--annotation", f"autoscaling.knative.dev/{each}")]
        self.names.append(name)
        return self.running.hearth("deploy", name, "--source", str(folder), *said, *flags)

    def copies(self, of, names, **annotations):
        """Services of the same package as ``of``'s, made at once; nobody waits for them."""
        copies = self._copies(of, names, annotations)

        async def make(client):
            for wire in copies:
                await client.create(SERVICE, wire)

        self.running.api(make)

    def times_until_ready(self, of, names, **annotations):
        """Make them one after the other; returns the seconds until each was Ready."""
        copies = self._copies(of, names, annotations)

        async def ready(client, name):
            while True:
                if is_condition_true(await client.get(SERVICE, "default", name), "Ready"):
                    return
                await asyncio.sleep(0.005)

        async def make(client):
            took = []
            for wire in copies:
                started = time.monotonic()
                await client.create(SERVICE, wire)
                await asyncio.wait_for(ready(client, name_of(wire)), 30)
                took.append(time.monotonic() - started)
            return took

        return self.running.api(make)

    def _copies(self, of, names, annotations):
        wire = self.running.api(lambda client: client.get(SERVICE, "default", of))
        template = wire["spec"]["template"]
        said = {key.replace("_", "-"): value for key, value in annotations.items()}
        named = {f"autoscaling.knative.dev/{key}": value for key, value in said.items()}
        meta = {"annotations": {**template["metadata"]["annotations"], **named}}
        spec = {"template": {"metadata": meta, "spec": template["spec"]}}
        self.names += names
        return [{"metadata": {"name": n, "namespace": "default"}, "spec": spec} for n in names]

    def delete(self, names):
        """Delete services, without waiting."""

        async def act(client):
            for name in names:
                await client.delete(SERVICE, "default", name)

        self.running.api(act)
        self.names = [name for name in self.names if name not in names]

    def ready(self, names):
        """Wait until all of them are Ready."""
        wanted = set(names)

        def are():
            found = self.running.api(lambda client: client.list(SERVICE, "default")).items
            return wanted <= {name_of(one) for one in found if is_condition_true(one, "Ready")}

        eventually(are, 60, f"{len(wanted)} services are ready")

    def pods(self, name):
        """The pods of a service that are there and not going."""
        chosen = {"label_selector": f"{SERVICE_LABEL}={name}"}
        pods = self.running.api(lambda client: client.list(POD, "default", **chosen)).items
        return [pod for pod in pods if not is_deleting(pod)]

    def ready_pods(self, name):
        """Their names, if they answer."""
        return {name_of(pod) for pod in self.pods(name) if is_ready(pod)}

    def scale(self, revision, replicas):
        """Set the scale as ``kubectl scale`` would; for revisions that nobody else scales."""
        patch = {"spec": {"replicas": replicas}}
        self.running.api(
            lambda client: client.patch(POOLED_REPLICA_SET, "default", revision, patch)
        )

    def has(self, name, count):
        """Wait for exactly so many pods that answer, and no others."""
        found = eventually(
            lambda: len(self.ready_pods(name)) == len(self.pods(name)) == count or None,
            60,
            f"{name} has {count} pods",
        )
        assert found
        return self.ready_pods(name)


@pytest.fixture
def services(running, tmp_path):
    made = Services(running, tmp_path)
    yield made
    for name in made.names:
        running.hearth("delete", name, check=False)


class Background:
    """Calls a service over and over from several threads, until it is stopped."""

    def __init__(self, running, name, path="/", threads=4):
        self.answers = []
        self._stop = threading.Event()
        self._call = lambda: running.call(name, path)
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._stop.is_set():
            try:
                answer = self._call()
                self.answers.append((answer.status, answer.body))
            except OSError as error:
                self.answers.append((0, repr(error).encode()))

    @property
    def failed(self):
        return [answer for answer in self.answers if answer[0] != 200]


@pytest.fixture
def background(running):
    def make(name, path="/", threads=4):
        return Background(running, name, path, threads)

    return make
