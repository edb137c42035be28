"""Services of code on the shared platform, gone after the test."""

from __future__ import annotations

import threading

import pytest

from hearth.api.kinds import POD, POOLED_REPLICA_SET
from hearth.api.meta import is_deleting, name_of, status_of
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

    def replicas(self, revision):
        """What its set's status says."""
        wire = self.running.api(lambda client: client.get(POOLED_REPLICA_SET, "default", revision))
        return status_of(wire)


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
