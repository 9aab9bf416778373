"""The drill of monitoring, with a tenth of the flights to train on; and what it says of a command that fails."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forks")]

PROGRAM = Path(__file__).parents[2] / "examples" / "flights_drill" / "drill.py"


def run(folder: Path, share: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), str(folder), "--share", str(share)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_it_comes_out_as_expected_and_leaves_its_pages(tmp_path: Path) -> None:
    done = run(tmp_path, 0.1)
    assert done.returncode == 0, done.stdout + done.stderr
    story, _, pages = done.stdout.partition("Pages to open:")
    assert "distance: Values are 1.61 times larger: kilometres in place of miles?" in story
    assert "carrier: 'B6' is 35.8% of the values" in story
    assert story.count("nothing moved") == 3
    assert "retraining: waiting: " in story
    assert "has 10 %, on trial" in story
    assert " resolved; 0 are open" in story
    assert story.count(", estimated AUC 0.") == 5, "the windows of all versions; the canary's alone are apart"
    paths = [Path(line.split()[-1]) for line in pages.splitlines() if line]
    assert len(paths) == 8
    assert all("<html" in path.read_text() for path in paths)


def test_a_command_that_fails_ends_it_with_its_message(tmp_path: Path) -> None:
    done = run(tmp_path, 0.0)
    assert done.returncode == 1
    assert "drill: `penstock run`: expected exit code 0, received 2:" in done.stderr
    assert "Traceback" not in done.stderr
