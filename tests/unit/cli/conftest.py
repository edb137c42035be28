"""A platform in memory and the command line on top of it."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager

import msgspec
import pytest
from click.testing import CliRunner

from hearth.api.errors import BadRequest, NotFound
from hearth.api.http import Request, Response
from hearth.api.kinds import POD, SERVICE
from hearth.api.meta import generation_of, name_of, spec_of
from hearth.cli.root import cli
from hearth.cli.session import FIELD_MANAGER, Session
from hearth.client import Client
from tests.unit.fake_api import FakeApi

URL = "http://{}.default.localhost:8080"


class Platform:
    """The fake API with a code store, logs, and a controller that acts within each write."""

    def __init__(self):
        self.api = FakeApi()
        self.packages = {}
        self.puts = 0
        self.logs = {}
        self.verdict = ("True", "", "")  # of every Service: status, reason, message of Ready

    async def __call__(self, request: Request) -> Response:
        path = request.path.removeprefix("/clusters/root")
        if "/packages/" in path:
            return self._package(request, path.rsplit("/", 1)[1])
        if path.endswith("/log"):
            return self._log(path.split("/")[-2], request)
        if path == "/version":
            return Response(200, body=b'{"gitVersion": "v1.35.0+test"}')
        answer = await self.api(request)
        if request.method in ("POST", "PATCH") and "/services" in path:
            self._reconcile(msgspec.json.decode(answer.body))
        return answer

    def _package(self, request, digest):
        if request.method == "PUT":
            assert digest == f"sha256:{hashlib.sha256(request.body).hexdigest()}"
            self.packages[digest] = request.body
            self.puts += 1
            return Response(201)
        return Response(200 if digest in self.packages else 404)

    def _log(self, pod, request):
        if pod not in self.logs:
            return Response(404, body=msgspec.json.encode(NotFound(f"no log of {pod}").status()))
        if request.query.get("previous"):
            said = BadRequest("previous terminated container not found")
            return Response(400, body=msgspec.json.encode(said.status()))
        lines = self.logs[pod].splitlines(keepends=True)
        tail = int(request.query.get("tailLines", len(lines)))
        return Response(200, body="".join(lines[len(lines) - tail :]).encode())

    def _reconcile(self, service):
        if service.get("kind") != "Service":
            return
        name, (status, reason, message) = name_of(service), self.verdict
        revision = f"{name}-{generation_of(service):05}"
        traffic = [
            {**target, "revisionName": target.get("revisionName") or revision}
            for target in spec_of(service)["traffic"]
        ]
        ready = {"type": "Ready", "status": status, "reason": reason, "message": message}
        self.api.set_status(
            SERVICE,
            name,
            {
                "observedGeneration": generation_of(service),
                "url": URL.format(name),
                "latestCreatedRevisionName": revision,
                "latestReadyRevisionName": revision,
                "traffic": traffic,
                "conditions": [ready, {**ready, "type": "ConfigurationsReady"}],
            },
        )

    def add_pod(self, name, service, revision, log):
        labels = {
            "serving.knative.dev/service": service,
            "serving.knative.dev/revision": revision,
        }
        self.api.put(POD, {"metadata": {"name": name, "labels": labels}, "spec": {}})
        self.logs[name] = log


@pytest.fixture
def platform():
    return Platform()


@pytest.fixture
def hearth(platform, monkeypatch, tmp_path):
    """Run a command line on the platform."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    @asynccontextmanager
    async def connect(target):
        client = Client(platform, field_manager=FIELD_MANAGER)
        yield Session(client, target.namespace or "default", "https://fake")

    def run(*arguments, code=0):
        result = CliRunner().invoke(cli, arguments, obj=connect, prog_name="hearth")
        assert result.exit_code == code, f"{result.exit_code}: {result.output}{result.exception!r}"
        return result

    return run


@pytest.fixture
def source(tmp_path):
    """Make a source directory from paths and texts."""

    def make(files):
        folder = tmp_path / "source"
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    return make
