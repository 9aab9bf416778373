"""What is said of a failed task: the user's own paths, and which files stay behind when a module travels."""

from pathlib import Path

import pytest

from penstock.core import user_modules
from penstock.core.errors import ModuleError
from penstock.core.failures import Failure
from penstock.pipelines.local.failure_text import failure_text
from penstock.pipelines.local.records.record import TaskRecord

_HERE = "import os\n\nHERE = os.path.dirname(os.path.abspath(__file__))\n"


@pytest.mark.parametrize(
    ("name", "source", "stays"),
    [
        ("models/one.py", "open(os.path.join(HERE, '..', 'core', 'w.txt'))", "core/w.txt"),
        ("models/two.py", "open(os.path.normpath(os.path.join(HERE, '..', 'core', 'w.txt')))", "core/w.txt"),
        ("models/three.py", "raise ValueError(f'no weights in {HERE}/../core/w.txt: give some')", "core/w.txt"),
        ("models/four.py", "from shared import names\nopen(os.path.join(HERE, '..', 'core', 'w.txt'))", "core/w.txt"),
        ("models/five.py", "open(os.path.join(HERE, 'large.bin'))", "models/large.bin"),
        ("models/seven.py", "os.listdir(os.path.join(HERE, '../core'))", "core"),
        ("models/six.py", "open(os.path.join(HERE, '..', 'core', 'nix.txt'))", ""),
    ],
)
def test_a_file_that_does_not_travel(tmp_path: Path, name: str, source: str, stays: str) -> None:
    project = tmp_path / "project"
    for file, text in {name: _HERE + source, "core/w.txt": "1", "shared/names.py": "", "models/large.bin": ""}.items():
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(text)
    with (project / "models/large.bin").open("r+b") as large:
        large.truncate(5 << 20)
    store = tmp_path / "runs" / "project" / "modules"
    copy = user_modules.publish(project / name, store, project=project)
    with pytest.raises(ModuleError) as caught:
        user_modules.load(str(copy))
    folder = store / copy.relative_to(store).parts[0]
    own = project / name.removesuffix(copy.relative_to(folder).as_posix())
    failure: Failure = {
        "type": "ModuleError",
        "message": caught.value.message,
        "details": caught.value.details,
        "exit_code": 2,
    }
    text = failure_text(TaskRecord("trainer", "failed", failure=failure), tmp_path, {str(folder): str(own)})
    told = [line.strip() for line in text.splitlines() if "does not travel" in line]
    assert [line.partition(" is on this machine, ")[0] for line in told] == ([str(project / stays)] if stays else [])
    assert str(store) not in text or name == "models/two.py"  # its path is above the copy
