"""Records of runs that somebody damaged. tests/pipelines/test_damaged.py does so with compiled pipelines."""

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.ends import assert_ends_well
from tests.servers.commands import Commands

SEEDS = range(30)
VALUES: list[Any] = [
    None, True, 0, -1, 1e400, 10**30, "", "x" * 300, "\x1b[31m", "a\nb", "../..", "/proc", [], [[]],
    [None], {}, {"a": None}, "nan",
]  # fmt: skip


def damaged(tree: Any, chance: random.Random) -> Any:
    """The tree with some of its values lost or replaced, those near its root more often."""
    for _ in range(chance.randrange(1, 4)):
        container = tree
        while True:
            keys = list(container) if isinstance(container, dict) else range(len(container))
            if not keys:
                break
            key = chance.choice(keys)
            inner = container[key]
            if not isinstance(inner, dict | list) or not inner or chance.random() < 0.3:
                if chance.random() < 0.3:
                    del container[key]
                else:
                    container[key] = chance.choice(VALUES)
                break
            container = inner
    return tree


def cut(text: str, chance: random.Random) -> str:
    """The text with its end cut off, or with some other characters in it."""
    start = chance.randrange(len(text))
    return text[:start] + chance.choice(["", "\0", "}", "[", "'", "\t", "- ", text[start + 9 :]])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "data.csv").write_text("a,label\n" + "1,0\n2,1\n" * 50)
    (folder / "pipeline.yaml").write_text("name: small\ndata: {path: data.csv}\nlabel: label\n")
    return folder


@pytest.fixture(scope="module")
def ran(project: Path, python: str) -> Path:
    """The project after a run of its first components."""
    nothing_else = ["evaluation=null", "push=null", "training=null", "transform=null", "label=null"]
    extra = [word for setting in nothing_else for word in ("--set", setting)]
    command = [python, "-m", "penstock.pipelines.cli.main", "run", *extra]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    return project


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run(commands: Commands, ran: Path, tmp_path: Path, seed: int) -> None:
    """`runs` lists the others, and `explain` says what is wrong with this one."""
    chance, project = random.Random(seed), tmp_path / "project"
    shutil.copytree(ran, project, symlinks=True)
    path = next(project.glob("runs/*/*/run.json"))
    path.write_text(
        json.dumps(damaged(json.loads(path.read_text()), chance)) if seed % 3 else cut(path.read_text(), chance)
    )
    assert_ends_well(commands.penstock("runs", cwd=project))
    assert_ends_well(commands.penstock("explain", cwd=project))
    assert_ends_well(commands.penstock("explain", str(path.parent), cwd=project))
