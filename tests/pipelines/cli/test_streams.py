"""Standard streams that are closed, full, or read by nobody: what a well-behaved program makes of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PENSTOCK = [sys.executable, "-m", "penstock.pipelines.cli.main"]


def command(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a line in a shell, in which `penstock` is a function."""
    penstock = f'penstock() {{ {" ".join(PENSTOCK)} "$@"; }}'
    return subprocess.run(["sh", "-c", f"{penstock}; {line}"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "code", "output", "errors"),
    [
        ("penstock runs <&- 2>&-", 0, "no run of small", ""),
        ("penstock --version 2>/dev/full", 0, "penstock ", ""),
        ("penstock nowhere >&- 2>&-", 2, "", ""),
        ("penstock nowhere 2>/dev/full", 2, "", ""),
        ("penstock --version >&-", 1, "", "penstock: standard output could not be written: Bad file descriptor"),
        ("penstock --version >/dev/full", 1, "", "penstock: standard output could not be written: No space left on de"),
        ("penstock nowhere >/dev/full", 2, "", "penstock: No such command 'nowhere'"),
    ],
)
def test_a_stream_that_takes_nothing(config: Path, line: str, code: int, output: str, errors: str) -> None:
    done = command(line, config.parent)
    assert done.returncode == code, done
    assert done.stdout.startswith(output)
    assert done.stderr.startswith(errors)
    assert bool(done.stderr) == bool(errors)


def test_a_reader_that_has_seen_enough_is_told_nothing() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run([*PENSTOCK, "--help"], stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, b"")


def test_what_is_opened_later_does_not_become_standard_error(tmp_path: Path) -> None:
    """Else what a library writes to the descriptor 2 would go into the file that happens to have it."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nfrom penstock.pipelines.cli.streams import StandardStreams\n"
        "with StandardStreams():\n    file = open('data', 'w')\n    os.write(2, b'noise')\n"
    )
    done = command(f"{sys.executable} script.py 2>&-", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "data").read_text() == ""
