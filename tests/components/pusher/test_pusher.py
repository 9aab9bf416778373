"""Pushes of real SavedModels into a folder: versions, blessings, interruptions, two at once."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from kfp import dsl, local

from penstock.components.pusher import destinations, executor, pusher
from penstock.components.pusher.destinations import Folder, Pushed
from penstock.components.pusher.destinations.storage import filesystem, open_storage
from penstock.core.artifacts import InfraBlessing, Model, ModelBlessing
from penstock.core.errors import ConfigError, ModelError, UserError
from penstock.core.files import object_stores
from tests.servers.object_stores import ObjectStore

Push = Callable[..., dict[str, Any]]


class Scale(tf.Module):
    """A model that multiplies by a constant."""

    def __init__(self, factor: float):
        self.factor = tf.Variable(factor)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": self.factor * x}


def save(folder: Path, factor: float) -> Path:
    scale = Scale(factor)
    tf.saved_model.save(scale, str(Model(folder).serving), signatures={"serving_default": scale.__call__})
    return folder


def load(version: Path) -> float:
    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    return float(signature(x=tf.constant([1.0]))["y"][0])


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three models; the last is the first with another fingerprint, as if it had been trained and saved once more."""
    first, second = [save(tmp_path_factory.mktemp("model"), factor) for factor in (2.0, 3.0)]
    third = tmp_path_factory.mktemp("model")
    shutil.copytree(first, third, dirs_exist_ok=True)
    shutil.copy(second / "Format-Serving" / "fingerprint.pb", third / "Format-Serving" / "fingerprint.pb")
    return [first, second, third]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "serving" / "taxi"


@pytest.fixture
def push(base: Path, tmp_path: Path) -> Push:
    """Returns a function that runs the Pusher and returns the metadata of pushed_model."""

    def run(model: Path | None, **arguments: Any) -> dict[str, Any]:
        pushed = tmp_path / f"pushed-{len(list(tmp_path.glob('pushed-*')))}"
        pushed.mkdir()
        destination = json.dumps({"filesystem": {"base_directory": str(base)}})
        defaults = {
            "pushed_model": str(pushed),
            "model": str(model) if model else None,
            "push_destination": destination,
        }
        result = executor.run(**{**defaults, **arguments})
        assert list(result.metadata) == ["pushed_model"]
        metadata = result.metadata["pushed_model"]
        assert metadata.pop("tfx_version") == "1.21.0"
        return metadata

    return run


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_version_is_the_model_and_its_number_the_time(push: Push, models: list[Path], base: Path) -> None:
    before = int(time.time())
    metadata = push(models[0])
    version = Path(metadata["pushed_destination"])
    assert version.parent == base
    assert metadata == {"pushed": 1, "pushed_destination": str(version), "pushed_version": version.name}
    assert before <= int(version.name) <= time.time()
    assert load(version) == 2.0
    assert names(version) == names(models[0] / "Format-Serving")
    assert sorted(path.name for path in base.iterdir()) == [".push.lock", version.name]


def test_the_artifact_is_a_copy_of_the_model(push: Push, models: list[Path], tmp_path: Path) -> None:
    pushed = tmp_path / "artifact"
    push(models[1], pushed_model=str(pushed))
    assert load(pushed) == 3.0
    linked, original = pushed / "saved_model.pb", models[1] / "Format-Serving" / "saved_model.pb"
    assert linked.samefile(original)  # no second copy on the same disk


def test_the_artifact_is_a_copy_on_another_file_system_too(push: Push, models: list[Path], tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir=memory) as pushed:
        push(models[1], pushed_model=pushed)
        assert load(Path(pushed)) == 3.0
        assert names(Path(pushed)) == names(models[1] / "Format-Serving")


def test_the_version_shares_nothing_with_the_model(push: Push, models: list[Path]) -> None:
    version = Path(push(models[0])["pushed_destination"])
    assert not (version / "saved_model.pb").samefile(models[0] / "Format-Serving" / "saved_model.pb")


def test_the_same_model_again_is_the_same_version(push: Push, models: list[Path], base: Path) -> None:
    first = push(models[0])
    written = {path: path.stat().st_mtime_ns for path in base.rglob("*")}
    assert push(models[0]) == first
    assert push(models[2]) == first
    assert {path: path.stat().st_mtime_ns for path in base.rglob("*")} == written


@pytest.fixture
def stamp(models: list[Path], tmp_path: Path) -> Callable[[str], str]:
    """Returns a function that writes InfraValidator's blessing of the first model, with this as warm-up requests."""

    def write(requests: str) -> str:
        blessing = InfraBlessing(tmp_path / f"stamped-{requests}")
        shutil.copytree(Model(models[0]).serving, blessing.stamped_model.root)
        blessing.stamped_model.warm_up_requests.parent.mkdir(exist_ok=True)
        blessing.stamped_model.warm_up_requests.write_text(requests)
        blessing.write(True)
        return str(blessing.root)

    return write


def test_the_model_that_was_given_warm_up_requests_is_pushed(
    push: Push, models: list[Path], stamp: Callable[[str], str], tmp_path: Path
) -> None:
    """Also without the model itself, as in TFX; and the artifact is the pushed model."""
    metadata = push(None, infra_blessing=stamp("rows"), pushed_model=str(tmp_path / "artifact"))
    version = Path(metadata["pushed_destination"])
    for folder in (version, tmp_path / "artifact"):
        assert load(folder) == 2.0
        assert (folder / "assets.extra" / "tf_serving_warmup_requests").read_text() == "rows"


def test_the_model_with_other_warm_up_requests_is_the_same_version(
    push: Push, models: list[Path], stamp: Callable[[str], str]
) -> None:
    """What the model computes decides: neither the examples of a run count, nor that there are none."""
    first = push(models[0])
    for requests in ("rows", "more rows"):
        assert push(models[0], infra_blessing=stamp(requests)) == first
    assert push(models[1])["pushed_version"] > first["pushed_version"]


def test_neither_a_model_nor_a_blessing_that_holds_it(push: Push, infra: Callable[[bool], str]) -> None:
    with pytest.raises(ConfigError, match="expected a model, or an infra_blessing that holds one: make_warmup"):
        push(None, infra_blessing=infra(True))


def test_an_older_model_becomes_the_newest_again(push: Push, models: list[Path]) -> None:
    """Serving takes the highest version, so going back to an older model is a new version."""
    pushed = [int(push(models[index])["pushed_version"]) for index in (0, 1, 0)]
    assert pushed[0] < pushed[1] < pushed[2]


def test_versions_rise_whatever_the_clock_says(push: Push, models: list[Path], base: Path) -> None:
    ahead = int(time.time()) + 10_000  # pushed before the clock was put back
    (base / str(ahead)).mkdir(parents=True)
    assert push(models[0])["pushed_version"] == str(ahead + 1)
    assert push(models[1])["pushed_version"] == str(ahead + 2)


def test_what_is_no_version_is_left_alone(push: Push, models: list[Path], base: Path) -> None:
    for name in ("notes", "v9", "9" * 30, "²"):
        (base / name).mkdir(parents=True)
    (base / "99999999999").touch()
    version = int(push(models[0])["pushed_version"])
    assert version <= time.time()
    assert {"notes", "v9", "9" * 30, "²", "99999999999"} < {path.name for path in base.iterdir()}


def test_the_highest_version_there_can_be(push: Push, models: list[Path], base: Path) -> None:
    (base / str(2**63 - 1)).mkdir(parents=True)
    with pytest.raises(UserError, match="9223372036854775807 is the highest there can be"):
        push(models[0])


@pytest.fixture
def blessing(tmp_path: Path) -> Callable[[bool], str]:
    def write(blessed: bool) -> str:
        ModelBlessing(tmp_path / f"blessing-{blessed}").write(blessed)
        return str(tmp_path / f"blessing-{blessed}")

    return write


@pytest.fixture
def infra(tmp_path: Path) -> Callable[[bool], str]:
    def write(blessed: bool) -> str:
        InfraBlessing(tmp_path / f"infra-{blessed}").write(blessed)
        return str(tmp_path / f"infra-{blessed}")

    return write


@pytest.mark.parametrize(
    ("model_blessed", "infra_blessed", "pushed"),
    [
        (True, None, 1),
        (None, True, 1),
        (True, True, 1),
        (False, None, 0),
        (None, False, 0),
        (False, True, 0),
        (True, False, 0),
        (None, None, 1),
    ],
)
def test_every_blessing_must_say_yes(
    push: Push,
    models: list[Path],
    base: Path,
    blessing: Callable[[bool], str],
    infra: Callable[[bool], str],
    caplog: pytest.LogCaptureFixture,
    model_blessed: bool | None,
    infra_blessed: bool | None,
    pushed: int,
) -> None:
    caplog.set_level("INFO", logger="penstock")
    metadata = push(
        models[0],
        model_blessing=None if model_blessed is None else blessing(model_blessed),
        infra_blessing=None if infra_blessed is None else infra(infra_blessed),
    )
    assert metadata["pushed"] == pushed
    assert base.exists() == bool(pushed)
    assert sum("not pushed" in record.getMessage() for record in caplog.records) == 1 - pushed
    assert ("was not validated" in caplog.text) == (model_blessed is infra_blessed is None)
    if not pushed:
        assert metadata == {"pushed": 0}


def test_a_blessing_without_a_mark_is_an_error(push: Push, models: list[Path], base: Path, tmp_path: Path) -> None:
    for kind, mark in (("model_blessing", "BLESSED"), ("infra_blessing", "INFRA_BLESSED")):
        with pytest.raises(ModelError, match=f"expected one of {mark} and .*, found neither"):
            push(models[0], **{kind: str(tmp_path)})
    assert not base.exists()


def test_a_model_that_is_not_there(push: Push, base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model at .*Format-Serving"):
        push(tmp_path)
    assert not base.exists()


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("", r"push_destination\.filesystem: expected an object such as \{.*base_directory.*received None"),
        ("{", "push_destination: expected JSON such as"),
        ("[]", r"push_destination: expected .*received \[\]"),
        ('{"filesystm": {}}', "push_destination: unknown key 'filesystm'; did you mean 'filesystem'"),
        ('{"filesystem": {}}', r"push_destination\.filesystem\.base_directory: expected a folder, received None"),
        ('{"filesystem": {"base_directory": ""}}', "base_directory: expected a folder, received ''"),
        ('{"filesystem": {"base_dir": "x"}}', "unknown key 'base_dir'; did you mean 'base_directory'"),
        ('{"filesystem": {"base_directory": "x", "versioning": "LATEST"}}', "expected one of AUTO, UNIX_TIMESTAMP"),
        ('{"filesystem": {"base_directory": "hdfs://x/y"}}', "expected a local folder, or a bucket that is mounted"),
    ],
)
def test_a_wrong_destination(push: Push, models: list[Path], destination: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        push(models[0], push_destination=destination)


class Shelf(Folder):
    """Another kind of destination."""

    key = "shelf"

    def push(self, serving: Path) -> Pushed:
        if "full" in self.place:
            raise UserError(f"{self.place} is full")
        return super().push(serving)


def shelf(name: str, settings: Any) -> Shelf:
    return Shelf(open_storage(settings["name"]))


def test_another_destination_is_one_entry(
    push: Push, models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "DESTINATIONS", {**destinations.DESTINATIONS, "shelf": shelf})
    metadata = push(models[0], push_destination=json.dumps({"shelf": {"name": f"{tmp_path}/shelf"}}))
    assert Path(metadata["pushed_destination"]).parent == tmp_path / "shelf"


def test_several_destinations(
    push: Push, models: list[Path], tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets the model; one that fails hides nothing of what the others did, and a retry only makes up for it."""
    monkeypatch.setattr(destinations, "DESTINATIONS", {**destinations.DESTINATIONS, "shelf": shelf})
    places = {"shelf": {"name": f"{tmp_path}/full"}, "filesystem": {"base_directory": str(base)}}
    with pytest.raises(UserError, match=f"not pushed to shelf: shelf: {tmp_path}/full is full") as raised:
        push(models[0], push_destination=json.dumps(places))
    (version,) = filesystem.versions(base)
    assert raised.value.details == f"pushed: version {version.name} to {version}"
    places["shelf"]["name"] = f"{tmp_path}/shelf"
    metadata = push(models[0], push_destination=json.dumps(places))
    shelved = filesystem.versions(tmp_path / "shelf")[0]
    assert metadata["pushed"] == 1
    assert json.loads(metadata["pushed_destination"]) == [str(shelved), str(version)]
    assert json.loads(metadata["pushed_version"]) == [shelved.name, version.name]


def test_protobufs_spelling_of_the_destination(push: Push, models: list[Path], tmp_path: Path) -> None:
    settings = {"baseDirectory": f"file://{tmp_path}/camel", "versioning": "UNIX_TIMESTAMP"}
    metadata = push(models[0], push_destination=json.dumps({"filesystem": settings}))
    assert Path(metadata["pushed_destination"]).parent == tmp_path / "camel"


def test_a_base_that_is_a_file(push: Push, models: list[Path], base: Path) -> None:
    base.parent.mkdir(parents=True)
    base.touch()
    for path in (base, base / "below"):
        destination = json.dumps({"filesystem": {"base_directory": str(path)}})
        with pytest.raises(
            ConfigError, match=f"{path}: expected a folder to push to, but it or a folder above it is a file"
        ):
            push(models[0], push_destination=destination)


def test_a_base_that_cannot_be_written(push: Push, models: list[Path], base: Path) -> None:
    base.mkdir(parents=True)
    forbidden = base
    if os.geteuid() == 0:  # who may write everything but the kernel's own tree
        forbidden = Path("/proc/sys" if Path("/proc/sys").is_dir() else "/System")
    else:
        base.chmod(0o500)
    with pytest.raises(UserError, match=r"permission denied|cannot push to") as raised:
        push(models[0], push_destination=json.dumps({"filesystem": {"base_directory": str(forbidden)}}))
    assert str(forbidden) in raised.value.message
    base.chmod(0o700)


def test_a_full_disk(models: list[Path], tmp_path: Path) -> None:
    """On a file system of 256 KiB in a mount namespace of its own; nothing stays behind that looks like a version."""
    (tmp_path / "full").mkdir()
    big = Model(save(tmp_path / "big", 4.0))
    (big.serving / "assets.extra").mkdir()
    (big.serving / "assets.extra" / "noise").write_bytes(os.urandom(1 << 20))
    destination = {"filesystem": {"base_directory": str(tmp_path / "full")}}
    arguments = {"pushed_model": str(tmp_path), "model": str(big.root), "push_destination": json.dumps(destination)}
    program = f"""
import json, os
from penstock.core.errors import UserError
from penstock.components.pusher import executor
try:
    executor.run(**json.loads({json.dumps(arguments)!r}))
except UserError as error:
    print(json.dumps([error.message, os.listdir({str(tmp_path / "full")!r})]))
"""
    script = f'mount -t tmpfs -o size=256k none "{tmp_path}/full" && exec "{sys.executable}" -c "$PROGRAM"'
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "sh", "-c", script]
    try:
        run = subprocess.run(command, env={**os.environ, "PROGRAM": program}, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare")
    if run.returncode and "penstock" not in run.stderr:
        pytest.skip(f"no mounts here: {run.stderr}")
    message, left = json.loads(run.stdout)
    assert message.startswith(f"the disk is full while writing {tmp_path}/full/")
    assert "free some space and run again" in message
    assert left == [".push.lock"]


def test_a_killed_push_leaves_no_version_and_the_next_one_cleans_up(
    push: Push, models: list[Path], base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = Model(save(tmp_path / "slow", 5.0))
    for index in range(3000):  # copying these takes long enough to be killed in the middle
        path = slow.serving / "assets" / f"{index:04d}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"vocabulary")
    destination = json.dumps({"filesystem": {"base_directory": str(base)}})
    arguments = {"pushed_model": str(tmp_path / "p"), "model": str(slow.root), "push_destination": destination}
    process = subprocess.Popen([sys.executable, "-m", "penstock.components.pusher.executor", json.dumps(arguments)])
    deadline = time.monotonic() + 60
    while not list(base.glob(".pushing-*/assets/0010")):
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert filesystem.versions(base) == []
    assert list(base.glob(".pushing-*"))
    version = Path(push(models[0])["pushed_destination"])
    assert sorted(path.name for path in base.iterdir()) == [".push.lock", version.name]
    assert "left by a push that was killed" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("same", [True, False])
def test_pushes_at_once_take_turns(models: list[Path], base: Path, tmp_path: Path, same: bool) -> None:
    start, destination = tmp_path / "start", json.dumps({"filesystem": {"base_directory": str(base)}})
    program = f"""
import json, os, sys, time
from penstock.components.pusher import executor
print("ready", flush=True)
while not os.path.exists({str(start)!r}):
    time.sleep(0.001)
print(executor.run(**json.loads(sys.argv[1])).metadata["pushed_model"]["pushed_version"])
"""
    processes = []
    for index in range(4):
        model = models[0] if same else save(tmp_path / f"model-{index}", 10.0 + index)
        arguments = {"pushed_model": str(tmp_path / f"pushed-{index}"), "model": str(model)}
        command = [sys.executable, "-c", program, json.dumps({**arguments, "push_destination": destination})]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    start.touch()
    reported = {process.communicate(timeout=120)[0].strip() for process in processes}
    versions = filesystem.versions(base)
    assert {path.name for path in versions} == reported
    assert len(versions) == (1 if same else 4)
    assert sorted(load(path) for path in versions) == ([2.0] if same else [10.0, 11.0, 12.0, 13.0])


def test_a_push_waits_for_another(push: Push, models: list[Path], base: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While another process holds the lock nothing is written, nor is its copy taken for a leftover."""
    caplog.set_level("INFO", logger="penstock")
    (base / ".pushing-7.1").mkdir(parents=True)
    program = (
        "import fcntl, sys, time\nlock = open(sys.argv[1], 'a')\nfcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\ntime.sleep(1)\nimport os\nos.rename(sys.argv[2], sys.argv[3])"
    )
    paths = [str(base / name) for name in (".push.lock", ".pushing-7.1", "7")]
    with subprocess.Popen([sys.executable, "-c", program, *paths], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        version = Path(push(models[0])["pushed_destination"])
    assert {path.name for path in filesystem.versions(base)} == {"7", version.name}
    assert f"waiting for another push to {base}" in caplog.text


def test_a_file_system_without_locks(
    push: Push, models: list[Path], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some network mounts are: the push goes on, takes the next number if its own is taken, and removes nothing."""

    def refuse(*_: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (base / ".pushing-7.1").mkdir(parents=True)
    rename = os.rename

    def rename_after_another(source: Path, target: Path) -> None:
        if not Path(target).exists():
            monkeypatch.setattr(os, "rename", rename)
            (Path(target) / "variables").mkdir(parents=True)
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_after_another)
    version = Path(push(models[0])["pushed_destination"])
    taken = [path for path in filesystem.versions(base) if path != version]
    assert [int(path.name) + 1 for path in taken] == [int(version.name)]
    assert load(version) == 2.0
    assert (base / ".pushing-7.1").is_dir()


def test_the_component(models: list[Path], base: Path, tmp_path: Path, blessing: Callable[[bool], str]) -> None:
    """Through KFP's local runner, with a blessing and without."""
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "kfp"), raise_on_error=True)

    @dsl.pipeline
    def push_blessed(folder: str, mark: str, destination: str) -> dsl.Model:  # type: ignore[empty-body]
        model = dsl.importer(artifact_uri=folder, artifact_class=dsl.Model).output
        given = dsl.importer(artifact_uri=mark, artifact_class=dsl.Artifact).output
        return pusher(model=model, model_blessing=given, push_destination=destination).outputs["pushed_model"]

    @dsl.pipeline
    def push_anyway(folder: str, destination: str) -> dsl.Model:  # type: ignore[empty-body]
        model = dsl.importer(artifact_uri=folder, artifact_class=dsl.Model).output
        return pusher(model=model, push_destination=destination).outputs["pushed_model"]

    destination = json.dumps({"filesystem": {"base_directory": str(base)}})
    refused = push_blessed(folder=str(models[0]), mark=blessing(False), destination=destination).output
    assert refused.metadata == {"tfx_version": "1.21.0", "pushed": 0}
    assert not base.exists()
    pushed = push_blessed(folder=str(models[0]), mark=blessing(True), destination=destination).output
    assert pushed.metadata["pushed_destination"] == str(base / pushed.metadata["pushed_version"])
    assert load(Path(pushed.path)) == load(Path(pushed.metadata["pushed_destination"])) == 2.0
    again = push_anyway(folder=str(models[2]), destination=destination).output
    assert again.metadata == pushed.metadata


def test_pushes_to_an_object_store(push: Push, models: list[Path], object_store: ObjectStore) -> None:
    """Versions go up, the same model is not written again, what a killed push left is no version."""
    base = object_store.uri("serving", "taxi")
    destination = json.dumps({"filesystem": {"base_directory": f"{base}/"}})
    first = push(models[0], push_destination=destination)
    assert first["pushed_destination"] == f"{base}/{first['pushed_version']}"
    assert push(models[0], push_destination=destination) == first
    assert push(models[2], push_destination=destination) == first, "another fingerprint is no other model"
    left = str(int(first["pushed_version"]) + 5)
    object_store.write({f"{left}/variables/variables.index": "half"}, "serving", "taxi")
    assert push(models[0], push_destination=destination) == first
    second = push(models[1], push_destination=destination)
    assert int(second["pushed_version"]) > int(left)
    with object_stores.fetched(second["pushed_destination"]) as version:
        assert load(version) == 3.0
