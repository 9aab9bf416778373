"""Pages of ours as parts of a larger one."""

import pytest

from penstock.core import page
from penstock.core.page import stitching


def test_a_page_is_read_as_its_parts() -> None:
    body = '<h1>Data</h1>\n<a href="#train">a</a><h2 id="train">The h1 and id="x" of &lt;h2&gt;</h2>'
    more = f"{body}{page.next_part('training')}<h1>Training</h1>"
    assert stitching.read(page.html("Data", more, "data"), "statistics_gen") == [
        stitching.Written(
            "data",
            '<h2>Data</h2>\n<a href="#statistics_gen-train">a</a>'
            '<h3 id="statistics_gen-train">The h1 and id="x" of &lt;h2&gt;</h3>',
        ),
        stitching.Written("training", "<h2>Training</h2>"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        page.html("Of no part", "<h1>A</h1>"),
        page.html("A", "<h1>A</h1>", "data").replace("</main>", ""),
        page.html("A", "", "data").replace('content="data"', 'content="rumours"'),
        "<!DOCTYPE html><html><body><main>\nof others\n</main>",
    ],
)
def test_a_page_of_others_is_no_part(text: str) -> None:
    assert stitching.read(text, "a") == []
