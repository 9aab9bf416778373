"""The script that draws charts, which is generated and committed."""

import pytest

from penstock.core.page import bundle


@pytest.mark.slow
def test_it_is_what_the_locked_library_makes() -> None:
    assert bundle.PATH.read_text(encoding="utf-8") == bundle.bundle(), "run make generate"


def test_an_html_parser_reads_it_as_one_script() -> None:
    text = bundle.PATH.read_text(encoding="utf-8").lower()
    assert "</script" not in text
    assert "<!--" not in text
    assert "redistribution and use in source and binary forms" in text
