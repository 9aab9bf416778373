"""Results handed over as files: what workers write late is lost, and what they lack is said."""

import json
import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from penstock.components.engines import lacking, open_engine, settings
from penstock.components.engines.beam import BeamEngine
from penstock.components.engines.handover import HandoverEngine, Work
from penstock.core.errors import ConfigError, DataError, NoCredentials, NoServer
from penstock.core.examples import records


class Threads(HandoverEngine):
    """Workers that are threads of this process, one for each shard, and go on when nobody waits for them any more."""

    variables_by = "set NAME there"

    def __init__(self, place: Path, change: Callable[[Work], Work] = lambda work: work):
        super().__init__(place)
        self.change, self.threads = change, list[threading.Thread]()

    @contextmanager
    def job(self, work: Work, shards: Sequence[bytes]) -> Iterator[Future[str]]:
        job, said = Future[str](), list[str]()

        def run(numbered: tuple[int, bytes]) -> None:
            said.append(self.change(work)(numbered))
            if len(said) == len(shards):
                job.set_result(max(said))

        self.threads += [threading.Thread(target=run, args=(one,)) for one in enumerate(shards)]
        for thread in self.threads:
            thread.start()
        yield job


GOES_ON, FAILS = threading.Event(), threading.Event()


def write_late(folder: Path, number: int) -> int:
    if number == 0:
        FAILS.wait(20)
        raise DataError("the first shard fails")
    with records.writer(folder / "out" / "file") as append:
        append([b"late"])
        FAILS.set()
        GOES_ON.wait(20)
    return number


def test_what_is_written_after_a_call_has_ended_is_lost(tmp_path: Path) -> None:
    """The second shard is half written when the first one's error ends the call."""
    with Threads(tmp_path / "artifact") as engine:
        with pytest.raises(DataError, match="the first shard fails"):
            engine.map(partial(write_late, tmp_path), range(2))
        records.write(tmp_path / "out" / "file", [b"the next call's"])
        before = (tmp_path / "out" / "file").read_bytes()
        GOES_ON.set()
        for thread in engine.threads:
            thread.join()
        assert (tmp_path / "out" / "file").read_bytes() == before
        assert os.listdir(tmp_path / "out") == ["file"]
    assert os.listdir(tmp_path / "artifact") == []


def test_a_shard_that_is_there_already_is_not_computed_again(tmp_path: Path) -> None:
    with Threads(tmp_path, lambda work: lambda one: work(one) or work(one)) as engine:  # type: ignore[arg-type,return-value]
        assert engine.map(partial(count, tmp_path), range(3)) == [1, 1, 1]


def count(folder: Path, number: int) -> int:
    with (folder / f".{number}").open("a") as file:
        file.write("x")
        return file.tell()


def test_another_version_on_the_workers_is_named(tmp_path: Path) -> None:
    engine = Threads(tmp_path, lambda work: replace(work, version="0.0.1"))
    with engine, pytest.raises(ConfigError, match=r"has penstock .*: expected 0\.0\.1, as this task has"):
        engine.map(abs, range(2))


def test_workers_ask_the_services_that_the_task_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses go with the work, the credentials do not: workers have some of their own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    works: list[Work] = []
    with Threads(tmp_path, lambda work: works.append(work) or work) as engine:  # type: ignore[func-returns-value]
        engine.map(abs, range(2))
    assert works[0].environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert b"hunter2" not in pickle.dumps(works[0])


def test_credentials_that_only_workers_lack_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "hunter2")
    error = pickle.loads(pickle.dumps(NoCredentials("a: the environment variable HERE is not set", variable="HERE")))
    told = lacking.explained(error, [], "set NAME there")
    assert str(told) == "engine: the workers have no environment variable HERE, which this task has: set HERE there"
    nowhere = NoCredentials("a: the environment variable NOWHERE is not set", variable="NOWHERE")
    assert lacking.explained(nowhere, [], "") is nowhere
    told = lacking.explained(NoCredentials("s3://b/a: no credentials found"), [], "")
    assert str(told) == "engine: on the workers: s3://b/a: no credentials found"


def test_temporary_folders_are_where_workers_see_them(tmp_path: Path) -> None:
    with Threads(tmp_path) as engine, engine.folder() as folder:
        assert folder.is_relative_to(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("local:3", settings.Local(3)),
        ("spark", settings.Spark()),
        ("beam", settings.Beam()),
        ('{"spark": {"master": "yarn"}}', settings.Spark("yarn")),
        ('{"beam": {"beam_pipeline_args": ["--runner=FlinkRunner"]}}', settings.Beam(("--runner=FlinkRunner",))),
        ('{"spark": {"conf": {"spark.ssl.password": "${P}"}}}', settings.Spark(conf={"spark.ssl.password": "${P}"})),
    ],
)
def test_engines_are_named_shortly_or_in_json(spec: str, expected: object) -> None:
    assert settings.parse(spec) == expected


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("spork", "expected local or, with N workers"),
        ('{"spork": {}}', "did you mean 'spark'"),
        ('{"spark": {"mastr": "yarn"}}', "did you mean 'master'"),
        ('{"spark": {}, "beam": {}}', "expected one of spark and beam"),
        ('{"spark": {"conf": {"executor.memory": "4g"}}}', "begin with spark"),
        ('{"spark": {"conf": {"spark.hadoop.fs.s3a.secret.key": "hunter2"}}}', r"expected no secret.*\$\{NAME\}"),
        ('{"spark": {"conf": {"spark.a": "jdbc:x://user:hunter2@host/"}}}', "expected no secret"),
        ('{"beam": {"beam_pipeline_args": ["--s3_secret_access_key", "hunter2"]}}', "expected no secret"),
        ('{"beam": {"beam_pipeline_args": ["FlinkRunner"]}}', "expected --name=value"),
    ],
)
def test_what_cannot_be_an_engine_is_one_sentence(spec: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        settings.parse(spec)
    assert "hunter2" not in str(caught.value)


def test_values_come_out_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLINK", "head:8081")
    asked = settings.Beam(("--flink_master=${FLINK}",))
    assert BeamEngine(asked, tmp_path)._arguments == ["--flink_master=head:8081"]
    monkeypatch.delenv("FLINK")
    with pytest.raises(ConfigError, match="the environment variable FLINK is not set"):
        BeamEngine(asked, tmp_path)


def test_a_master_that_is_not_there_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyspark = pytest.importorskip("pyspark")
    monkeypatch.setattr(pyspark.SparkContext, "_active_spark_context", None)  # one of another test would be used
    spec = json.dumps({"spark": {"master": "spark://127.0.0.1:9"}})
    with pytest.raises(NoServer, match=r"no master answers \(127\.0\.0\.1:9"), open_engine(spec, tmp_path):
        pass
    assert os.listdir(tmp_path) == []
