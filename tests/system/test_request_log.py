"""The log of requests, where Knative's users look for it."""

from __future__ import annotations

import concurrent.futures
import json
import shutil
import subprocess
import time

import pytest

from hearth.api.config.request_log import DEFAULT_TEMPLATE
from hearth.api.errors import ApiError
from hearth.api.kinds import CONFIG_MAP, POD, REVISION, SERVICE
from hearth.api.meta import name_of, uid_of
from hearth.client.client import read_all
from tests.system.running import eventually, up

FIELDS = (
    '{"uri": "{{js .Request.RequestURI}}", "path": "{{.Request.URL.Path}}", '
    '"agent": "{{js .Request.UserAgent}}", "status": {{.Response.Code}}, '
    '"sent": "{{.Request.ContentLength}}", "size": {{.Request.ContentLength}}, '
    '"got": {{.Response.Size}}, '
    '"latency": "{{.Response.Latency}}", "seconds": {{.Response.Latency}}, '
    '"revision": "{{.Revision.Namespace}}/{{.Revision.Name}}", "service": "{{.Revision.Service}}", '
    '"configuration": "{{.Revision.Configuration}}", "pod": "{{.Revision.PodName}}", '
    '"ip": "{{.Revision.PodIP}}", "trace": "{{.TraceID}}", "client": "{{.Request.RemoteAddr}}", '
    '"x": "{{.Request.Header.Get "X-Own"}}", "protocol": "{{.Request.Proto}}"}'
)
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with up(tmp_path_factory.mktemp("requests") / "state", pool=3) as running:
        for name, flags in (("any", []), ("limited", ["--concurrency", "1"])):
            running.hearth(
                "deploy", name, "--source", "examples/hello", "--initial-scale", "0", *flags
            )
        yield running


@pytest.fixture
def configure(running):
    def apply(**data):
        named = {f"logging.{name.replace('_', '-')}": text for name, text in data.items()}
        wire = {
            "metadata": {"name": "config-observability", "namespace": "knative-serving"},
            "data": named,
        }
        running.api(lambda client: client.apply(CONFIG_MAP, wire))
        time.sleep(0.3)  # until Envoy has it: nothing says so to those who call

    yield apply
    apply()


def pod_of(running, name):
    selector = f"serving.knative.dev/service={name}"
    [pod] = running.api(lambda client: client.list(POD, "default", label_selector=selector)).items
    return pod


def log_of(running, pod, **query):
    """The lines that ``kubectl logs POD -c queue-proxy`` prints."""

    async def read(client):
        path = POD.path("default", name_of(pod), "log")
        answer = await client.raw("GET", path, query={"container": "queue-proxy", **query})
        return (await read_all(answer)).decode()

    return running.api(read).splitlines()


def lines_of(running, name, uri):
    """The lines of one request's path, once there are any."""

    def there():
        lines = map(json.loads, log_of(running, pod_of(running, name)))
        return [line for line in lines if line.get("uri") == uri]

    return eventually(there, 5, f"{uri} is in the log")


@pytest.mark.parametrize("name", ["any", "limited"])
@pytest.mark.parametrize("when", ["cold or warm", "warm"])
def test_each_request_is_one_line_with_what_the_template_asks_for(running, configure, name, when):
    configure(enable_request_log="true", request_log_template=FIELDS)
    uri = f'/{when.replace(" ", "-")}?q="1"'
    headers = {"User-Agent": 'a "quoted" \\ agent', "X-Own": "mine",
               "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}  # fmt: skip
    answer = running.call(name, uri, method="POST", body=b"12345", headers=headers)
    assert answer.status == 200
    [line] = lines_of(running, name, uri)
    pod = pod_of(running, name)
    assert float(line.pop("latency")) == pytest.approx(line.pop("seconds"), abs=0.01)
    assert line.pop("client").rpartition(":")[0]
    assert line == {
        "uri": uri, "path": uri.partition("?")[0], "agent": headers["User-Agent"], "status": 200,
        "sent": "5", "size": 5, "got": len(answer.body), "revision": f"default/{name}-00001",
        "service": name, "configuration": name, "pod": name_of(pod),
        "ip": pod["status"]["podIP"], "trace": TRACE, "x": "mine", "protocol": "HTTP/1.1",
    }  # fmt: skip


def test_a_pod_has_the_lines_of_its_own_requests_alone(running, configure):
    configure(enable_request_log="true", request_log_template=FIELDS)
    running.call("any", "/only-any")
    running.call("limited", "/only-limited")
    lines_of(running, "any", "/only-any")
    lines_of(running, "limited", "/only-limited")
    lines = map(json.loads, log_of(running, pod_of(running, "any")))
    assert {line["service"] for line in lines if "service" in line} == {"any"}


def test_nothing_is_logged_by_default_and_no_container_is_shown(running, configure):
    configure()
    running.call("any", "/quiet")
    time.sleep(0.5)
    pod = pod_of(running, "any")
    assert not [line for line in log_of(running, pod) if "/quiet" in line]
    shown = running.api(lambda client: client.get(POD, "default", name_of(pod)))
    assert "ephemeralContainers" not in shown["spec"]
    done = running.hearth("logs", "any", "--requests")
    assert "not logged now; set logging.enable-request-log" in done.stderr


def test_turning_it_on_and_off_cuts_no_request(running, configure):
    running.call("any")

    def call(_):
        return running.call("any").status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = pool.map(call, range(600))
        for number in range(6):
            configure(enable_request_log=str(number % 2 == 0).lower())
        assert set(statuses) == {200}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_and_hearth_print_it(running, configure):
    configure(enable_request_log="true", request_log_template=DEFAULT_TEMPLATE)
    running.call("any", "/printed", headers={"User-Agent": "tester"})
    lines = "0 requests"

    def there():
        nonlocal lines
        lines = running.hearth("logs", "any", "--requests", "--tail", "1").stdout
        return "/printed" in lines

    eventually(there, 5, "it is in the log")
    request = json.loads(lines)["httpRequest"]
    assert (request["requestUrl"], request["userAgent"]) == ("/printed", "tester")
    assert (request["requestMethod"], request["status"]) == ("GET", 200)
    command = ["kubectl", "--kubeconfig", running.ready["kubeconfig"], "logs", "--tail=1",
               name_of(pod_of(running, "any")), "-c", "queue-proxy"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, lines), done.stderr


def test_http_probes_are_lines_where_they_are_asked_for(running, configure):
    configure(
        enable_request_log="true",
        enable_probe_request_log="true",
        request_log_template=FIELDS,
    )
    running.hearth("deploy", "probed", "--source", "examples/hello", "--initial-scale", "0")

    async def probe(client):
        wire = await client.get(SERVICE, "default", "probed")
        [container] = wire["spec"]["template"]["spec"]["containers"]
        container["readinessProbe"] = {"httpGet": {"path": "/ready"}, "periodSeconds": 1}
        wire["spec"]["template"]["metadata"].pop("name", None)
        await client.update(SERVICE, wire)

    running.api(probe)
    eventually(lambda: running.call("probed", "/mine").status == 200, 10)

    def revision_is_new():
        running.call("probed", "/mine")
        pods = running.api(
            lambda client: client.list(
                POD, "default", label_selector="serving.knative.dev/revision=probed-00002"
            )
        ).items
        return pods and pods[0]

    pod = eventually(revision_is_new, 10)

    def probes():
        lines = map(json.loads, log_of(running, pod))
        return [line for line in lines if line.get("agent", "").startswith("kube-probe/")]

    line = eventually(probes, 10, "the probe is in the log")[0]
    assert (line["uri"], line["status"], line["pod"]) == ("/ready", 200, name_of(pod))
    running.hearth("delete", "probed")


def test_a_template_that_cannot_be_had_is_refused_and_what_held_holds(running, configure):
    configure(enable_request_log="true", request_log_template=FIELDS)
    with pytest.raises(ApiError, match="cannot be had"):
        configure(enable_request_log="true", request_log_template="{{if .TraceID}}{{end}}")
    running.call("any", "/still")
    lines_of(running, "any", "/still")


def test_a_revision_says_where_its_logs_are(running, configure):
    configure(revision_url_template="http://logs.example/?uid=${REVISION_UID}")

    def revision():
        return running.api(lambda client: client.get(REVISION, "default", "any-00001"))

    url = f"http://logs.example/?uid={uid_of(revision())}"
    eventually(lambda: revision()["status"].get("logUrl") == url, 10, "it says so")
    configure()
    eventually(lambda: "logUrl" not in revision()["status"], 10, "it does so no more")
