"""Names of transformed columns: one for each column, and short enough for a file."""

from penstock.trainer.plan.output_names import OutputNames


def named(*columns: str) -> list[str]:
    names = OutputNames()
    return [names(column) for column in columns]


def test_names_that_tensorflow_takes() -> None:
    assert named("fare", "is late?", "größe", "_id", "...", "a/b:0") == [
        "fare_xf", "is_late__xf", "gr__e_xf", "id_xf", "column_xf", "a_b_0_xf",
    ]  # fmt: skip


def test_a_long_name_is_cut_and_kept_apart() -> None:
    first, second = named("c" * 250 + "1", "c" * 250 + "2")
    assert first != second
    assert first.startswith("c" * 100)
    assert {len(first), len(second)} == {112}
    assert named("c" * 250 + "1") == [first], "the same in every run"
    assert named("c" * 100) == ["c" * 100 + "_xf"], "what was short enough before stays as it was"


def test_no_two_vocabularies_are_the_same_file() -> None:
    """TFT makes the file `a_b_xf` for `a.b_xf` as well, so the second vocabulary would replace the first."""
    assert named("a_b", "a.b", "A_b", "a-b", "a--b") == ["a_b_xf", "a.b-1_xf", "A_b-2_xf", "a-b_xf", "a--b-1_xf"]
