"""The command line and compiling stay free of TensorFlow, Beam, pandas, pyarrow and Google's SDKs."""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from penstock import components, pipelines
from tests.servers.kubeflow_pipelines import KubeflowPipelines
from tests.servers.sagemaker import REGION, SageMaker

HEAVY = {
    "apache_beam",
    "keras",
    "numpy",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "tensorflow",
    "tensorflow_data_validation",
    "tensorflow_metadata",
    "tensorflow_model_analysis",
    "tensorflow_transform",
    "tf_keras",
    "tfx",
    "tfx_bsl",
}
ROOT = Path(__file__).resolve().parent.parent.parent
CONFIG = ROOT / "examples" / "taxi" / "pipeline.yaml"
PIPELINES, COMPONENTS = Path(pipelines.__path__[0]), Path(components.__path__[0])
LIGHT_FILES = [
    *sorted(PIPELINES.rglob("*.py")),
    *sorted(COMPONENTS.glob("*/component.py")),
    *sorted(COMPONENTS.glob("*/__init__.py")),
]
_MAIN = """
import sys
from penstock.pipelines.cli.main import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


def imported(*arguments: str, environment: Mapping[str, str] = MappingProxyType({})) -> set[str]:
    """Runs a command in a fresh interpreter; returns the modules that it has imported at its end."""
    command = [sys.executable, "-W", "error", "-c", _MAIN, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def heavy(modules: set[str]) -> set[str]:
    return {name for name in modules if name.split(".")[0] in HEAVY or name.startswith("google.cloud.")}


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "run --help",
        "compile --help",
        "predict --help",
        "submit --help",
        "watch --help",
        "schedule create --help",
        "endpoints --help",
        "rollback --help",
    ],
)
def test_help_imports_next_to_nothing(command: str) -> None:
    modules = imported(*command.split())
    assert heavy(modules) == set()
    assert {name for name in modules if name.split(".")[0] in ("kfp", "pydantic", "yaml")} == set()


@pytest.mark.slow
def test_compile_imports_nothing_heavy(tmp_path: Path) -> None:
    modules = imported("compile", str(CONFIG), "-o", str(tmp_path / "ir.yaml"), "--set", f"pipeline_root={tmp_path}")
    assert (tmp_path / "ir.yaml").is_file()
    assert "kfp.compiler" in modules
    assert heavy(modules) == set()


@pytest.mark.slow
def test_submitting_imports_nothing_heavy(tmp_path: Path) -> None:
    with KubeflowPipelines() as server:
        shared = ["--set", f"kubeflow.shared_folders=[{tmp_path}]", "--set", f"push.directory={tmp_path}"]
        root = ["--set", f"pipeline_root={tmp_path}"]
        modules = imported("submit", str(CONFIG), "--host", server.url, *root, *shared)
        assert len(server.stored["runs"]) == 1
    assert "kfp_server_api" in modules
    assert heavy(modules) == set()


@pytest.mark.slow
def test_asking_what_serves_imports_nothing_heavy(tmp_path: Path) -> None:
    with SageMaker() as server:
        role = "arn:aws:iam::123456789012:role/serving"
        section = f"{{endpoint: taxi, region: {REGION}, storage: 's3://models/taxi', image: i, role: '{role}'}}"
        environment = {"AWS_ENDPOINT_URL_SAGEMAKER": server.url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        modules = imported("endpoints", str(CONFIG), "--set", f"push.sagemaker={section}", environment=environment)
        assert [one.route for one in server.requests] == ["DescribeEndpoint"]
    assert "boto3" in modules
    assert heavy(modules) == set()


@pytest.mark.slow
def test_checking_and_listing_import_no_kfp_compiler_nor_anything_heavy(tmp_path: Path) -> None:
    modules = imported("validate", str(CONFIG))
    assert {name.split(".")[0] for name in heavy(modules)} == {"numpy"}  # which tries each column alone, where it is
    assert "kfp" not in modules
    assert heavy(imported("init", str(tmp_path / "new"))) == set()
    assert heavy(imported("runs", str(tmp_path / "new"))) == set()


@pytest.mark.parametrize("path", LIGHT_FILES, ids=lambda path: str(path.relative_to(path.parents[1])))
def test_no_heavy_import_at_the_top(path: Path) -> None:
    if "template" in path.parts:
        return  # a user's module
    assert heavy(set(_top_imports(ast.parse(path.read_text()).body))) == set()


def _top_imports(body: list[ast.stmt]) -> list[str]:
    found: list[str] = []
    for statement in body:
        if isinstance(statement, ast.Import):
            found += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            found.append(statement.module)
        elif isinstance(statement, ast.If | ast.Try | ast.With) and not _is_for_types(statement):
            found += _top_imports(statement.body)
    return found


def _is_for_types(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
