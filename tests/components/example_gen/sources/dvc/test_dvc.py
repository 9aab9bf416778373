"""Data of a real repository, with DVC's own commands, by revision: from its remote, and from a clone."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.components.example_gen import executor
from penstock.components.example_gen.inputs import resolving
from penstock.components.example_gen.sampling import beginnings
from penstock.components.example_gen.sampling import dvc as dvc_sample
from penstock.core import artifacts
from penstock.core.errors import ConfigError, DataError, PenstockError
from penstock.core.examples import records
from penstock.core.services import retries
from tests.servers.object_stores import ObjectStore

pytestmark = pytest.mark.slow
WHO = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]

ONE = json.dumps({"split_config": {"splits": [{"name": "all", "hash_buckets": 1}]}})
REMOTE = "[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = {}\n"


@dataclass(frozen=True)
class Project:
    """A repository whose data is in a remote; the tag v1 has other rows than its main branch."""

    folder: Path

    def git(self, *words: str) -> str:
        command = ["git", *WHO, *words]
        return subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str, *tracked: str) -> str:
        """Adds what is tracked to DVC, commits all and pushes; returns the commit."""
        from dvc.repo import Repo

        with Repo(str(self.folder)) as repo:
            repo.add([str(self.folder / name) for name in tracked])
            repo.push()
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the repository and its remote; tests change copies of it."""
    root = tmp_path_factory.mktemp("dvc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(root / "site"))
        _make(root)
    return root


def _make(root: Path) -> None:
    from dvc.repo import Repo

    project = Project(root / "repo")
    (project.folder / "trips").mkdir(parents=True)
    project.git("init", "-q")
    Repo.init(str(project.folder)).close()
    (project.folder / ".dvc" / "config").write_text(REMOTE.format("../../remote"))
    for name, rows in (("a", range(3)), ("b", range(3, 6))):
        (project.folder / "trips" / f"{name}.csv").write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in rows))
    pq.write_table(pa.table({"x": range(8)}), project.folder / "rows.parquet")
    (project.folder / "plain.csv").write_text("x\n1\n2\n")
    project.commit("one", "trips", "rows.parquet")
    project.git("tag", "v1")
    (project.folder / "trips" / "a.csv").write_text("x,y\n70,0\n71,1\n72,0\n")
    project.commit("two", "trips")
    shutil.rmtree(project.folder / ".dvc" / "cache")


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(retries, "PAUSE", 0.0)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    for name in ("repo", "remote"):
        shutil.copytree(made / name, tmp_path / name)
    return Project(tmp_path / "repo")


@pytest.fixture
def generate(project: Project, tmp_path: Path) -> Callable[..., tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Returns a function that reads data of the project; it gives the rows, in order, and the metadata."""
    runs = iter(range(100))

    def run(
        path: str, splits: dict[str, str] | None = None, label: str = "", **options: Any
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        out = tmp_path / f"out-{next(runs)}"
        base = json.dumps({"dvc": {"repo": str(project.folder), "path": path} | options})
        listed = [{"name": name, "pattern": pattern} for name, pattern in (splits or {}).items()]
        found = resolving.resolve(input_base=base, input_config=json.dumps({"splits": listed}) if listed else "")
        result = executor.run(
            examples=str(out),
            input_base=base,
            **found._asdict(),
            engine="local:1",
            output_config="" if splits else ONE,
            label=label,
        )
        examples = artifacts.Examples(out)
        files = [file for split in examples.splits() for file in examples.files(split)]
        rows = [row for batch in records.read_batches(files) for row in batch.to_pylist()]
        assert not [path for path in out.rglob("*") if path.suffix in (".csv", ".parquet")]
        return rows, result.metadata["examples"]

    return run


def _x(rows: list[dict[str, Any]]) -> list[int]:
    return sorted(row["x"][0] for row in rows)


def test_a_revision_is_read_from_the_remote(project: Project, generate: Callable[..., Any]) -> None:
    rows, metadata = generate("trips", rev="v1")
    assert _x(rows) == list(range(6))
    origin = json.loads(metadata["origin"])
    assert origin["commit"] == project.git("rev-parse", "v1")
    listed = next(iter(origin["hash"].split(":")[1:]))
    assert f"md5: {listed}" in project.git("show", "v1:trips.dvc")
    rows, metadata = generate("trips")
    assert _x(rows) == [3, 4, 5, 70, 71, 72]
    assert json.loads(metadata["origin"])["commit"] == project.git("rev-parse", "main")


def test_files_and_formats(generate: Callable[..., Any]) -> None:
    assert _x(generate("trips/b.csv", rev="v1")[0]) == [3, 4, 5]
    assert _x(generate("rows.parquet")[0]) == list(range(8))
    assert _x(generate("plain.csv")[0]) == [1, 2]  # which Git has itself
    assert _x(generate("/trips/a.csv", rev="v1", csv={"null_values": ["2"]}, label="y")[0][:2]) == [0, 1]


def test_splits_are_patterns(generate: Callable[..., Any]) -> None:
    _, metadata = generate("trips", {"train": "a*.csv", "eval": "b*"}, rev="v1")
    assert json.loads(metadata["num_examples"]) == {"train": 3, "eval": 3}


def test_a_clone_reads_the_same(
    project: Project, generate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.git("config", "uploadpack.allowAnySHA1InWant", "true")
    (project.folder / ".dvc" / "config").write_text(REMOTE.format(project.folder.parent / "remote"))
    project.git("commit", "-qam", "remote by its whole path")
    url = project.folder.as_uri()
    temporary = project.folder.parent / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert _x(generate("trips", repo=url)[0]) == [3, 4, 5, 70, 71, 72]
    assert not list(temporary.iterdir())
    assert generate("trips", repo=url, rev="main")[1]["input_fingerprint"] == generate("trips")[1]["input_fingerprint"]


def test_a_bucket_is_a_remote(object_store: ObjectStore, project: Project, generate: Callable[..., Any]) -> None:
    """Read by s3fs and gcsfs, without DVC's plug-ins: its files are the local remote's, as DVC wrote them."""
    remote = project.folder.parent / "remote"
    files = {path.relative_to(remote).as_posix(): path.read_bytes() for path in remote.rglob("*") if path.is_file()}
    (project.folder / ".dvc" / "config").write_text(REMOTE.format(object_store.write(files, "dvc", "store")))
    project.git("commit", "-qam", "a bucket")
    shutil.rmtree(remote)
    assert _x(generate("trips", rev="HEAD")[0]) == [3, 4, 5, 70, 71, 72]
    object_store.remove_everything()
    with pytest.raises(DataError, match=r"its remote lacks its data: run `dvc push`"):
        generate("rows.parquet", rev="HEAD")


def test_the_hash_is_the_fingerprint(project: Project, generate: Callable[..., Any]) -> None:
    before = generate("trips")[1]["input_fingerprint"]
    (project.folder / "notes.txt").write_text("nothing of the data\n")
    project.git("add", "-A")
    project.git("commit", "-qm", "notes")
    assert generate("trips")[1]["input_fingerprint"] == before
    assert generate("trips", rev="v1")[1]["input_fingerprint"] != before


@pytest.mark.parametrize(
    ("path", "options", "error", "told"),
    [
        ("trips", {"rev": "v2"}, DataError, r"data.dvc.rev: .*/repo: unknown Git revision 'v2'; there are v1, main"),
        ("trip", {}, DataError, r"it is not tracked at [0-9a-f]{12}: there is no 'trip'; did you mean 'trips'\?"),
        ("trips/c.csv", {}, DataError, r"there is no 'c.csv' in trips; did you mean '[ab].csv'\?"),
        ("trips", {"remote": "stor"}, ConfigError, r"has no remote 'stor'; did you mean 'store'\?"),
        ("trips", {"repo": "/nowhere"}, DataError, r"data.dvc.repo: /nowhere: expected a Git repository that can be"),
        ("trips", {"ref": "v1"}, ConfigError, r"dvc: unknown key 'ref'; did you mean 'rev'"),
        ("", {}, ConfigError, r"dvc.path: expected a text, received ''"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    path: str, options: dict[str, str], error: type[PenstockError], told: str, generate: Callable[..., Any]
) -> None:
    with pytest.raises(error, match=told) as raised:
        generate(path, **options)
    assert "\n" not in str(raised.value)


def test_splits_without_files(generate: Callable[..., Any]) -> None:
    with pytest.raises(DataError, match=r"split 'eval': no file matches 'c\*' in trips of .*, which has a.csv, b.csv"):
        generate("trips", {"train": "a*", "eval": "c*"})


def test_data_that_was_not_pushed(project: Project, generate: Callable[..., Any]) -> None:
    for path in ("trips/a.csv", "rows.parquet"):
        shutil.rmtree(project.folder.parent / "remote", ignore_errors=True)
        (project.folder.parent / "remote").mkdir()
        with pytest.raises(DataError, match=r"its remote lacks its data: run `dvc push` where it was added"):
            generate(path)


def test_a_dirty_workspace_is_not_read(project: Project, generate: Callable[..., Any]) -> None:
    file = project.folder / "trips" / "a.csv"
    file.write_text("x,y\n9,9\n")
    with pytest.raises(DataError, match=r"it is changed since `dvc add`: `dvc add` and `git commit` it, or name with"):
        generate("trips")
    from dvc.repo import Repo

    with Repo(str(project.folder)) as repo:
        repo.add([str(project.folder / "trips")])
    with pytest.raises(DataError, match=r"it is not committed to Git"):
        generate("trips")
    assert _x(generate("trips", rev="HEAD")[0]) == [3, 4, 5, 70, 71, 72]


def test_what_is_wrong_in_a_file_names_it_as_it_is_tracked(project: Project, generate: Callable[..., Any]) -> None:
    (project.folder / "trips" / "b.csv").write_text("x,y\n1\n2,3\n")
    project.commit("ragged", "trips")
    with pytest.raises(DataError, match=r"dvc://trips/b.csv"):
        generate("trips")


def test_a_commit_stays_although_its_branch_moves(project: Project, tmp_path: Path) -> None:
    base = json.dumps({"dvc": {"repo": str(project.folder), "path": "plain.csv"}})
    found = resolving.resolve(input_base=base)
    (project.folder / "plain.csv").write_text("x\n7\n8\n9\n")
    project.git("commit", "-qam", "other rows")
    result = executor.run(
        examples=str(tmp_path / "out"), input_base=base, **found._asdict(), output_config=ONE, engine="local:1"
    )
    assert json.loads(result.metadata["examples"]["num_examples"]) == {"all": 2}


def test_a_file_of_a_revision_is_looked_at_before_a_run(
    project: Project, look: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of text the beginning, of other formats a whole file that is small enough."""
    dvc = {"repo": str(project.folder), "path": "trips", "rev": "v1"}
    assert "data: 3 rows looked at; columns: x (integers), y (integers)\n" in look({"dvc": dvc}, label="y")
    assert "label 'z' does not exist" in look({"dvc": dvc}, label="z", code=2)
    rows = {**dvc, "path": "rows.parquet"}
    assert "data: 8 rows looked at; columns: x (integers)\n" in look({"dvc": rows})
    monkeypatch.setattr(dvc_sample, "_MOST", 100)
    assert "data: not looked at, for rows.parquet has a file of more than 0 MiB" in look({"dvc": rows})
    monkeypatch.setattr(beginnings, "_CHARACTERS", 9)
    assert "data: 1 row looked at" in look({"dvc": dvc}, label="y")
    assert "data.dvc.rev" in look({"dvc": {**dvc, "rev": "v9"}}, code=2)
