"""Pages: what a browser is given."""

from pathlib import Path

import pytest

from penstock.core import page


@pytest.mark.parametrize("name", ["page.html", "folder"])
def test_a_page_is_a_file_or_in_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    path = page.write(tmp_path / name, "<A> & B", "<h1>A</h1>")
    assert path == (tmp_path / "folder" / "report.html" if name == "folder" else tmp_path / name)
    text = path.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "<title>&lt;A&gt; &amp; B</title>" in text
    assert "<main>\n<h1>A</h1>\n</main>" in text


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    text = page.write(tmp_path / "page", "A", "").read_text()
    assert not any(word in text for word in ("<script", "<link", "http:", "https:", "url("))


def test_parts() -> None:
    assert page.table("<tr><td>1</td></tr>", "<th>a</th>") == (
        '<div class="table"><table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table></div>'
    )
    assert page.table("") == '<div class="table"><table><tbody></tbody></table></div>'
    assert page.mark("<fine>", good=True) == '<span class="mark good">&lt;fine&gt;</span>'
