"""The READMEs of the components are those that their signatures and docstrings give."""

from pathlib import Path

import pytest

from penstock.pipelines.compiling import catalog, component_docs


def test_committed_readmes_are_not_stale() -> None:
    stale = [path.parent.name for path in component_docs.stale()]
    assert stale == [], "write them anew: python -m penstock.pipelines.compiling.component_docs"


@pytest.mark.parametrize("folder", catalog.folders())
def test_everything_is_documented(folder: str) -> None:
    rows = [line for line in component_docs.readme(folder).splitlines() if line.startswith("| `")]
    assert rows
    assert [row for row in rows if row.rstrip("| ").count("|") < 3] == []


def test_readme_of_a_component() -> None:
    text = component_docs.readme("pusher")
    assert "# pusher" in text
    assert "| `model_blessing` | `system.Artifact`, optional | The Evaluator's blessing of the model. |" in text
    assert "| `push_destination` | `str` = `''` |" in text


def test_check_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "pusher" / "README.md"
    readme.parent.mkdir()
    (readme.parent / "component.py").touch()
    monkeypatch.setattr(catalog, "COMPONENTS", tmp_path)
    assert component_docs.main(["--check"]) == 1
    assert "is stale" in capsys.readouterr().out
    assert not readme.exists()
    assert component_docs.main([]) == 0
    assert readme.read_text() == component_docs.readme("pusher")
    assert component_docs.main(["--check"]) == 0
