"""Vertex AI through Google's own client, against a server on loopback that parses what it is sent."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from google.api_core.exceptions import Unauthorized
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1
from kfp import compiler, dsl

from penstock.core.errors import ServerError
from penstock.core.services import retries, vertex
from penstock.pipelines.cli import main as cli
from penstock.pipelines.config.servers import Vertex
from tests.servers.loopback import CtrlC, Cut, Hang, Status
from tests.servers.object_stores import ObjectStore, gcs
from tests.servers.vertex import VertexAI

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning:google")
JOBS, SCHEDULES = "/pipelineJobs", "/schedules"
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"


@dsl.component
def hello(text: str, times: int) -> str:
    return text * times


@dsl.pipeline(name="greeting")
def greeting(text: str = "hi", times: int = 1):
    hello(text=text, times=times)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "greeting.yaml"
    compiler.Compiler().compile(greeting, str(path))
    return path


@pytest.fixture(scope="module")
def bucket() -> Iterator[ObjectStore]:
    """What the service's tasks have their outputs in: empty, but for what a test leaves there."""
    with gcs() as store:
        yield store


@pytest.fixture
def server(bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexAI]:
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    with VertexAI() as running:
        monkeypatch.setenv(vertex.ENDPOINT_VARIABLE, running.url)
        monkeypatch.setenv(vertex.PROJECT_VARIABLE, "p")
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def penstock(server: VertexAI, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Returns a function that runs a command with --target vertex; it returns the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = cli.main([*map(str, arguments), "--target", "vertex"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


ROOT = ("--set", "vertex.pipeline_root=gs://bucket/runs")
Run = Callable[..., tuple[int, str, str]]


def test_a_run_is_sent_with_all_that_the_section_says(server: VertexAI, penstock: Run, compiled: Path) -> None:
    settings = {
        "service_account": "runs@p.iam.gserviceaccount.com",
        "network": "projects/1/global/networks/vpc",
        "encryption_spec_key_name": KEY,
        "labels": "{team: taxi}",
        "failure_policy": "fast",
    }
    sets = [part for key, value in settings.items() for part in ("--set", f"vertex.{key}={value}")]
    code, out, err = penstock("submit", compiled, "--name", "First Run", "--param", "times=3", *ROOT, *sets)
    assert code == 0
    assert err == "the run 'First Run' gets the id first-run: an id has small letters, digits and dashes\n"
    job = server.stored["pipelineJobs"]["projects/p/locations/us-central1/pipelineJobs/first-run"]
    assert job.display_name == "First Run"
    assert dict(job.runtime_config.parameter_values) == {"times": 3}
    assert job.runtime_config.gcs_output_directory == "gs://bucket/runs"
    assert job.runtime_config.failure_policy == aiplatform_v1.PipelineFailurePolicy.PIPELINE_FAILURE_POLICY_FAIL_FAST
    assert job.service_account == settings["service_account"]
    assert job.network == settings["network"]
    assert job.encryption_spec.kms_key_name == KEY
    assert job.labels["team"] == "taxi"
    assert job.pipeline_spec["pipelineInfo"]["name"] == "greeting"
    assert out.splitlines() == [
        "run   first-run",
        "link  https://console.cloud.google.com/vertex-ai/locations/us-central1/pipelines/runs/first-run?project=p",
    ]


def test_a_configuration_is_compiled_for_vertex(
    server: VertexAI, penstock: Run, load: Callable[..., object], project: Path
) -> None:
    load()
    sets = ("--set", "resources={trainer: {accelerator: {type: L4}}}", "--location", "europe-west4")
    code, _, err = penstock("submit", project, *ROOT, *sets)
    assert code == 2
    assert err.startswith(f"penstock: input_base (data.path) is {project}, module_file (copied below pipeline_root) is")
    assert "Vertex AI does not see this machine's files: name folders in a bucket, such as gs://BUCKET/FOLDER" in err
    assert server.requests == []
    sets = (*sets, "--set", f"vertex.shared_folders=[{project}]")
    code, _, err = penstock("submit", project, *ROOT, *sets)
    assert f"(push.directory) is {project}/serving: what is written there goes with its task" in err
    code, out, err = penstock("submit", project, *ROOT, *sets, "--set", "push.directory=gs://bucket/serving")
    assert (code, err) == (0, "")
    assert out.startswith("run   small-2")
    (body,) = server.sent("POST", JOBS)
    executor = body["pipelineSpec"]["deploymentSpec"]["executors"]["exec-trainer"]
    assert executor["container"]["resources"]["accelerator"]["type"] == "NVIDIA_L4"
    assert "/locations/europe-west4/" in next(iter(server.stored["pipelineJobs"]))


def test_a_second_document_belongs_to_kubeflow(penstock: Run, compiled: Path, tmp_path: Path, server: VertexAI) -> None:
    both = tmp_path / "both.yaml"
    both.write_text(compiled.read_text() + "\n---\nplatforms: {kubernetes: {deploymentSpec: {}}}\n")
    code, _, err = penstock("submit", both, *ROOT)
    assert code == 2
    assert "settings of Kubernetes, which belong to Kubeflow: leave them out, or compile with --target vertex" in err
    allowed = penstock("submit", both, *ROOT, "--set", "lint.allow=[kubernetes-settings]")
    assert allowed[0] == 2
    assert "settings of Kubernetes, which belong to Kubeflow" in allowed[2]
    assert server.requests == []


@pytest.mark.parametrize(
    "failure", [Cut(after=True), Hang(1.5, effect=True)], ids=["the answer is cut", "the answer is late"]
)
def test_a_lost_answer_starts_no_second_run(
    server: VertexAI, penstock: Run, compiled: Path, failure: Cut | Hang
) -> None:
    server.fail("POST", JOBS, failure)
    retries.PAUSE = 0.6  # until the late one has its effect
    code, out, err = penstock("submit", compiled, *ROOT, "--set", "vertex.timeout=1")
    assert code == 0, err
    assert len(server.sent("POST", JOBS)) == 1
    (name,) = server.stored["pipelineJobs"]
    assert f"run   {name.rpartition('/')[2]}\n" in out


def test_ctrl_c_does_not_hide_a_run_that_starts(server: VertexAI, penstock: Run, compiled: Path) -> None:
    server.fail("POST", JOBS, CtrlC())
    code, out, err = penstock("submit", compiled, *ROOT, "--name", "mine")
    assert (code, out) == (130, "")
    assert "penstock: interrupted: Vertex AI (p, us-central1): it is not known whether the run mine was started" in err
    assert penstock("submit", compiled, *ROOT, "--name", "mine")[0] == 2
    assert len(server.stored["pipelineJobs"]) == 1


def test_a_request_that_overtakes_its_own_repetition_is_one_run(
    server: VertexAI, penstock: Run, compiled: Path
) -> None:
    server.fail("POST", JOBS, Cut(after=True))
    server.fail("GET", f"{JOBS}/{{id}}", Status(404, "not yet"))  # the look finds nothing, the repetition meets 409
    code, _, err = penstock("submit", compiled, *ROOT)
    assert code == 0, err
    assert len(server.sent("POST", JOBS)) == 2
    assert len(server.stored["pipelineJobs"]) == 1


@pytest.mark.parametrize("failure", [Cut(after=False), Status(429, "slow down"), Status(503)], ids=str)
def test_what_had_no_effect_is_asked_again(
    server: VertexAI, penstock: Run, compiled: Path, failure: Cut | Status
) -> None:
    server.fail("POST", JOBS, failure, failure)
    code, _, err = penstock("submit", compiled, *ROOT)
    assert code == 0, err
    assert len(server.sent("POST", JOBS)) == 3
    assert len(server.stored["pipelineJobs"]) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_servers_retry_after_is_waited_for(server: VertexAI, penstock: Run, compiled: Path, status: int) -> None:
    server.fail("POST", JOBS, Status(status, "slow down", headers={"Retry-After": "1"}))
    started = time.monotonic()
    code, _, err = penstock("submit", compiled, *ROOT)
    assert code == 0, err
    assert time.monotonic() - started >= 1
    assert len(server.stored["pipelineJobs"]) == 1


def test_somebody_elses_run_of_the_name_is_not_ours(server: VertexAI, penstock: Run, compiled: Path) -> None:
    assert penstock("submit", compiled, *ROOT, "--name", "one")[0] == 0
    server.fail("POST", JOBS, Cut(after=False))
    for _ in range(2):  # after a lost answer, and at once
        code, _, err = penstock("submit", compiled, *ROOT, "--name", "one")
        assert (code, err) == (
            2,
            "penstock: Vertex AI (p, us-central1) has a run 'one' already: choose another --name\n",
        )
    assert len(server.stored["pipelineJobs"]) == 1


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (Status(400, "bad spec"), 2, "refuses the request (400: bad spec)"),
        (Status(401, "no token"), 2, "wants a sign-in (401), and none is sent to http://: write https:// in"),
        (Status(403, "denied"), 2, "does not let this account do that (403: denied)"),
        (Status(404, html="<html>no</html>"), 2, "does not know that (404): check the id"),
        (Status(429, "quota"), 1, "no quota left (429: quota): try again later"),
        (Status(500, "oops"), 1, "failed (500: oops)"),
        (Status(503, html="<html>no</html>"), 1, "failed (503)"),
        (Hang(1.5), 1, "it is not known whether the run"),
        (Cut(after=False), 1, "was cut: try again"),
    ],
    ids=str,
)
def test_each_failure_is_one_sentence(
    server: VertexAI, penstock: Run, compiled: Path, failure: Status | Hang | Cut, code: int, told: str
) -> None:
    server.fail("POST", JOBS, *[failure] * 3)
    found, out, err = penstock("submit", compiled, *ROOT, "--set", "vertex.timeout=1")
    assert (found, out) == (code, "")
    assert told in err
    assert len([line for line in err.splitlines() if line.startswith("penstock: ")]) == 1
    assert "Traceback" not in err
    assert server.stored["pipelineJobs"] == {}


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ([], "vertex.pipeline_root is missing"),
        ([*ROOT, "--set", "vertex.pipeline_root=/tmp"], "vertex.pipeline_root"),
        ([*ROOT, "--host", "http://h"], "--host: this is an option of target kubeflow, not vertex"),
        ([*ROOT, "--set", "vertex.api_endpoint=http://127.0.0.1:9"], "no server answers at http://127.0.0.1:9"),
        (
            [*ROOT, "--set", "vertex.api_endpoint=h.example", "--set", "vertex.credentials_file=none.json"],
            "vertex.credentials_file",
        ),
    ],
)
def test_mistakes_are_told(penstock: Run, compiled: Path, sets: Sequence[str], told: str) -> None:
    code, _, err = penstock("submit", compiled, *sets)
    assert code == 2
    assert told in err
    assert "Traceback" not in err


def test_a_name_that_is_too_long(server: VertexAI, penstock: Run, compiled: Path) -> None:
    code, _, err = penstock("submit", compiled, *ROOT, "--name", "a" * 200)
    assert (code, err) == (2, "penstock: --name: expected at most 128 letters, received 200\n")
    assert server.requests == []


def test_a_sign_in_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise Unauthorized("no token")

    monkeypatch.setattr(vertex, "_credentials", lambda *_: AnonymousCredentials())
    settings = Vertex(project="p", api_endpoint="https://h.example")
    with pytest.raises(ServerError, match=r"wants a sign-in \(401: no token\): run `gcloud auth application-default"):
        vertex.Server(settings).request(refuse)


def test_a_missing_package_is_told_with_the_command(
    penstock: Run, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import google.cloud

    monkeypatch.delattr(google.cloud, "aiplatform_v1", raising=False)
    monkeypatch.setitem(sys.modules, "google.cloud.aiplatform_v1", None)
    code, _, err = penstock("submit", compiled, *ROOT)
    assert code == 2
    assert "pip install 'google-cloud-aiplatform>=1.165'" in err


def _detail(number: int, name: str, state: str, parent: int = 1, error: str = "") -> dict[str, object]:
    detail = {"taskId": str(number), "taskName": name, "state": state, "parentTaskId": str(parent)}
    return detail | ({"error": {"code": 9, "message": error}} if error else {})


def test_waiting_follows_the_tasks_and_ends_with_the_cause(server: VertexAI, penstock: Run, compiled: Path) -> None:
    root = {"taskId": "1", "taskName": "greeting-1", "state": "RUNNING"}
    server.states = [
        {"state": "PIPELINE_STATE_RUNNING", "jobDetail": {"taskDetails": [root, _detail(2, "hello", "RUNNING")]}},
        {
            "state": "PIPELINE_STATE_FAILED",
            "error": {"code": 9, "message": "The DAG failed"},
            "jobDetail": {
                "taskDetails": [
                    root,
                    _detail(2, "hello", "FAILED", error="exit code 3"),
                    _detail(3, "after", "NOT_TRIGGERED"),
                ]
            },
        },
    ]
    code, out, err = penstock("submit", compiled, *ROOT, "--wait", "--interval", "0.01")
    assert code == 1
    assert [line.split() for line in out.splitlines()[2:]] == [
        ["hello", "running"],
        ["hello", "failed"],
        ["after", "skipped"],
    ]
    assert err == "penstock: the run ended failed: hello: exit code 3\n"


def test_what_a_task_left_in_the_bucket_is_its_cause(
    server: VertexAI, penstock: Run, compiled: Path, bucket: ObjectStore
) -> None:
    """The service knows an exit status alone; a task leaves failure.json beside its outputs (PROJECT/RUN/TASK_ID)."""
    status = "The replica workerpool0-0 exited with a non-zero status of 2."
    tasks = [_detail(2, "hello", "FAILED", error=status), _detail(-3, "other", "FAILED", error=status)]
    server.states = [{"state": "PIPELINE_STATE_FAILED", "jobDetail": {"taskDetails": tasks}}]
    told = {"type": "ModuleError", "message": "run_fn raised ValueError: no", "details": "line 3", "exit_code": 2}
    bucket.write({"failure.json": json.dumps(told)}, "runs", "p", "first", "hello_2")
    bucket.write({"failure.json": "{damaged"}, "runs", "p", "first", "other_-3")
    root = ("--set", f"vertex.pipeline_root={bucket.uri('runs')}")
    code, _, err = penstock("submit", compiled, *root, "--name", "first", "--wait", "--interval", "0.01")
    assert code == 1
    assert err.splitlines() == [
        "penstock: the run ended failed:",
        "hello: run_fn raised ValueError: no",
        "  line 3",
        f"other: {status}",
    ]


def test_waiting_outlasts_a_cut_and_ends_well(server: VertexAI, penstock: Run, compiled: Path) -> None:
    server.fail("GET", f"{JOBS}/{{id}}", Cut(after=False), Status(503))
    server.states = [{"state": "PIPELINE_STATE_QUEUED"}, {"state": "PIPELINE_STATE_SUCCEEDED"}]
    code, out, _ = penstock("submit", compiled, *ROOT, "--wait", "--interval", "0.01")
    assert (code, out.splitlines()[-1]) == (0, "succeeded")


def test_cancel(server: VertexAI, penstock: Run, compiled: Path) -> None:
    penstock("submit", compiled, *ROOT, "--name", "one")
    assert penstock("cancel", "one") == (0, "one: asked to stop\n", "")
    (job,) = server.stored["pipelineJobs"].values()
    assert job.state == aiplatform_v1.PipelineState.PIPELINE_STATE_CANCELLED
    code, _, err = penstock("cancel", "two")
    assert code == 2
    assert "does not know that (404" in err


def test_watching_a_run_that_is_there(server: VertexAI, penstock: Run, compiled: Path) -> None:
    penstock("submit", compiled, *ROOT, "--name", "One Run")
    server.states = [{"state": "PIPELINE_STATE_RUNNING"}, {"state": "PIPELINE_STATE_SUCCEEDED"}]
    code, out, err = penstock("watch", "One Run", "--interval", "0.01")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["run", "link", "succeeded"]
    assert penstock("watch", "two")[0] == 2


def test_what_is_told_where_watching_fails_works_as_it_stands(
    server: VertexAI, penstock: Run, compiled: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(vertex.ENDPOINT_VARIABLE)
    settings = ["--location", "europe-west4", "--set", f"vertex.api_endpoint={server.url}"]
    server.fail("GET", f"{JOBS}/{{id}}", Status(403, "gone"))
    code, _, err = penstock("submit", compiled, *ROOT, *settings, "--wait", "--name", "mine")
    assert code == 3
    told = shlex.split(err.partition("to cancel it: ")[2])
    assert told[:3] == ["penstock", "cancel", "mine"]
    assert cli.main(told[1:]) == 0
    (job,) = server.stored["pipelineJobs"].values()
    assert job.state == aiplatform_v1.PipelineState.PIPELINE_STATE_CANCELLED


def test_a_schedule_from_its_making_to_its_end(server: VertexAI, penstock: Run, compiled: Path) -> None:
    assert "no schedule on Vertex AI (p, us-central1) yet" in penstock("schedule", "list")[1]
    cron = ("--cron", "TZ=Europe/Berlin 0 6 * * *")
    server.fail("POST", SCHEDULES, Cut(after=True))
    code, out, err = penstock("schedule", "create", compiled, *ROOT, *cron, "--param", "text=good day")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "schedule  greeting"
    (made,) = server.stored["schedules"].values()
    assert (made.cron, made.max_concurrent_run_count, made.catch_up) == ("TZ=Europe/Berlin 0 6 * * *", 1, False)
    job = made.create_pipeline_job_request.pipeline_job
    assert dict(job.runtime_config.parameter_values) == {"text": "good day"}
    assert penstock("schedule", "create", compiled, *ROOT, *cron)[0] == 2
    for name in ("b", "c", "d"):
        assert penstock("schedule", "create", compiled, *ROOT, *cron, "--name", name)[0] == 0
    assert [line.split()[0] for line in penstock("schedule", "list")[1].splitlines()] == ["b", "c", "d", "greeting"]
    assert penstock("schedule", "create", compiled, *ROOT, "--cron", "0 7 * * *", "--name", "d", "--replace")[0] == 0
    assert [one.cron for one in server.stored["schedules"].values() if one.display_name == "d"] == ["0 7 * * *"]
    assert penstock("schedule", "pause", "d")[0] == 0
    assert "disabled  cron 0 7 * * *" in penstock("schedule", "list")[1]
    assert penstock("schedule", "resume", "d")[0] == 0
    assert "disabled" not in penstock("schedule", "list")[1]
    server.fail("DELETE", f"{SCHEDULES}/{{id}}", Cut(after=True))
    assert penstock("schedule", "delete", "d") == (0, "d: deleted\n", "")
    assert penstock("schedule", "delete", "d")[0] == 2
    assert len(server.stored["schedules"]) == 3


def test_a_schedule_that_could_not_be_replaced_is_told(server: VertexAI, penstock: Run, compiled: Path) -> None:
    create = ("schedule", "create", compiled, *ROOT, "--cron")
    assert penstock(*create, "0 6 * * *")[0] == 0
    server.fail("DELETE", f"{SCHEDULES}/{{id}}", Status(403, "not yours"))
    code, _, err = penstock(*create, "0 7 * * *", "--replace")
    assert code == 1
    assert "the old one may not be deleted, and then both start runs: repeat this command" in err
    assert "(403: not yours)" in err
    assert penstock("schedule", "pause", "greeting")[1] == "greeting: paused, all 2 schedules of this name\n"
    assert penstock(*create, "0 8 * * *", "--replace")[0] == 0
    assert [one.cron for one in server.stored["schedules"].values()] == ["0 8 * * *"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--cron", "0 0 6 * * *"], "five fields, without seconds: write '0 6 * * *'"),
        (["--cron", "6 * *"], "expected five fields"),
        (["--cron", "0 24 * * *"], "hour: expected 0 to 23, *, a range"),
        (["--cron", "TZ=Europe/Berlin @daily"], "(minute hour day month weekday): write 'TZ=Europe/Berlin 0 0 * * *'"),
        (["--cron", "TZ=Mars/Base 0 6 * * *"], "unknown time zone"),
        (["--every", "60"], "Vertex AI's schedules have no --every"),
        ([], "expected --cron"),
    ],
)
def test_when_a_schedule_fires_is_checked_first(
    server: VertexAI, penstock: Run, compiled: Path, options: Sequence[str], told: str
) -> None:
    code, _, err = penstock("schedule", "create", compiled, *ROOT, *options)
    assert code == 2
    assert told in err
    assert server.requests == []


def test_compiling_for_vertex_imports_nothing_of_google_cloud(
    load: Callable[..., object], project: Path, tmp_path: Path
) -> None:
    load()
    main = (
        "import sys\nfrom penstock.pipelines.cli.main import main\ncode = main(sys.argv[1:])\n"
        "sys.exit(code or any(name.startswith('google.cloud.') for name in sys.modules))"
    )
    output = str(tmp_path / "compiled.yaml")
    for arguments in (["compile", str(project), "--target", "vertex", "-o", output], ["submit", "--help"]):
        done = subprocess.run([sys.executable, "-c", main, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
