"""Environments that nobody meant to set up: a command does its work in them, or says what is missing."""

import resource
from pathlib import Path

import pytest

from tests.fuzz.ends import assert_ends_well
from tests.servers.commands import Commands

VARIABLES = [
    {"HOME": "/nowhere"}, {"HOME": ""}, {"HOME": "relative"}, {"TMPDIR": "/nowhere"}, {"TMPDIR": "/proc"},
    {"PATH": ""},
    {"LANG": "C", "LC_ALL": "C"}, {"LC_ALL": "xx_XX.UTF-99"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0"},
    {"COLUMNS": "1"}, {"COLUMNS": "-5"}, {"COLUMNS": "wide"}, {"LINES": "0"}, {"TERM": "dumb"}, {"TERM": "nothing"},
    {"TZ": "Nowhere/Land"}, {"TZ": ":::"}, {"USER": ""}, {"SHELL": "/nowhere"}, {"KUBECONFIG": "/proc/self/mem"},
    {"KUBECONFIG": "/dev/null"}, {"KFP_HOST": "::::"}, {"PENSTOCK_KFP_HOST": ":"}, {"HTTP_PROXY": "::"},
    {"NO_PROXY": "*"},
    {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere"}, {"AWS_PROFILE": "nobody"}, {"DOCKER_HOST": "nowhere"},
    {"CI": "1"},
    {"TF_CONFIG": "{"},
    {"OMP_NUM_THREADS": "x"},
    {"PYTHONWARNINGS": "error"}, {"CUDA_VISIBLE_DEVICES": "x"}, {"TF_USE_LEGACY_KERAS": "perhaps"},
    {"XDG_CACHE_HOME": "/proc"},
]  # fmt: skip
LIMITS = [
    {"RLIMIT_NOFILE": 16}, {"RLIMIT_FSIZE": 1000}, {"RLIMIT_NPROC": 1}, {"RLIMIT_CORE": 0},
    {"RLIMIT_STACK": 1 << 20},
]  # fmt: skip


@pytest.fixture
def project(commands: Commands, tmp_path: Path) -> Path:
    (tmp_path / "data.csv").write_text("a,label\n" + "1,0\n2,1\n" * 50)
    (tmp_path / "pipeline.yaml").write_text("name: small\ndata: {path: data.csv}\nlabel: label\n")
    return tmp_path


@pytest.mark.parametrize(
    "variables", VARIABLES, ids=lambda variables: ",".join(f"{k}={v}" for k, v in variables.items())
)
def test_a_variable(commands: Commands, project: Path, variables: dict[str, str]) -> None:
    assert_ends_well(commands.penstock("validate", cwd=project, environment=variables))
    assert_ends_well(commands.penstock("compile", "-o", "compiled.yaml", cwd=project, environment=variables), (0, 1, 2))


@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: ",".join(f"{k}={v}" for k, v in limits.items()))
def test_a_limit(commands: Commands, project: Path, limits: dict[str, int]) -> None:
    assert all(hasattr(resource, name) for name in limits)
    assert_ends_well(commands.penstock("validate", cwd=project, limits=limits), (0, 1, 2))
    assert_ends_well(commands.penstock("compile", "-o", "compiled.yaml", cwd=project, limits=limits), (0, 1, 2))


def test_too_little_address_space(commands: Commands, project: Path) -> None:
    ended = commands.penstock("run", cwd=project, limits={"RLIMIT_AS": 3 << 30})
    assert_ends_well(ended, (2,))
    assert "ulimit -v" in ended.errors
