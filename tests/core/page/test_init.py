"""Pages: what a browser is given."""

from pathlib import Path

import pytest

from penstock.core import page

SCRIPT, FETCHED = "<script", ("<link", " src=", "@import", "url(")


@pytest.mark.parametrize("name", ["page.html", "folder"])
def test_a_page_is_a_file_or_in_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    path = page.write(tmp_path / name, "<A> & B", "<h1>A</h1>")
    assert path == (tmp_path / "folder" / "report.html" if name == "folder" else tmp_path / name)
    text = path.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert "<title>&lt;A&gt; &amp; B</title>" in text
    assert "<main>\n<h1>A</h1>\n</main>" in text


def test_a_page_carries_what_it_needs_and_nothing_else() -> None:
    plain, sorting = page.html("A", ""), page.html("A", page.table("", "<th>a</th>", sort=True))
    assert SCRIPT not in plain
    assert sorting.count(SCRIPT) == 1
    assert "vegaEmbed = " not in sorting
    assert not any(word in plain for word in FETCHED)


def test_nothing_may_be_loaded_but_by_frames_of_others() -> None:
    policy = "default-src 'none'"
    assert policy in page.html("A", "")
    assert policy not in page.html("A", "<iframe srcdoc=''></iframe>")


def test_parts() -> None:
    assert page.table("<tr><td>1</td></tr>", "<th>a</th>") == (
        '<div class="table"><table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table></div>'
    )
    assert page.table("") == '<div class="table"><table><tbody></tbody></table></div>'
    assert page.mark("<fine>", good=True) == '<span class="mark good">&lt;fine&gt;</span>'
    assert page.legend(["train", "<eval>"]) == (
        '<p class="legend"><span><i style="background:var(--plot-1)"></i>train</span>'
        '<span><i style="background:var(--plot-2)"></i>&lt;eval&gt;</span></p>'
    )
    assert page.choice("Slice", {"<all>": "1", "A": "2"}) == (
        '<div class="choice"><label>Slice <select><option>&lt;all&gt;</option><option>A</option></select></label>'
        "<div>1</div><div hidden>2</div></div>"
    )


def test_a_long_table_is_folded_after_as_many_rows_as_the_stylesheet_says() -> None:
    rows = "<tr><td>1</td></tr>"
    assert "show all" not in page.table(30 * rows, fold=True)
    assert "show all" not in page.table(31 * rows)
    folded = page.table(1031 * rows, fold=True)
    assert '<label class="more"><input type="checkbox"> show all 1,031 rows</label>' in folded
    assert "nth-child(n + 31)" in page.html("A", folded)


def test_a_name_is_broken_after_its_signs_and_a_number_is_not() -> None:
    assert page.breakable("mean_<squared>.error") == "mean_&lt;squared&gt;.<wbr>error"
    assert page.breakable("a_b=c") == "a_<wbr>b=<wbr>c"
    assert page.breakable("0.8585 of 36,660") == "0.8585 of 36,660"
