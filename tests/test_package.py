"""`import penstock`: its version, and how little it imports."""

import importlib.metadata
import subprocess
import sys

import pytest

import penstock


def test_the_version_is_the_packages() -> None:
    assert penstock.__version__ == importlib.metadata.version("penstock")
    assert {"Report", "Run", "__version__", "run", "runs"} <= set(dir(penstock))
    with pytest.raises(AttributeError, match="module 'penstock' has no attribute 'nix'"):
        penstock.nix  # noqa: B018


def test_it_imports_nothing() -> None:
    program = "import sys; before = set(sys.modules); import penstock; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"penstock", "typing", "collections.abc", "_typing", "functools", "types"}
