"""A sample is of all of a split, bounded, and the same each time."""

import itertools
from pathlib import Path

import pytest

from penstock.core.examples import records, sample


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """9,000 records in three files; each says its number."""
    paths = [tmp_path / f"{number}.gz" for number in range(3)]
    for number, path in enumerate(paths):
        records.write(path, [str(3000 * number + row).encode() for row in range(3000)])
    return paths


@pytest.mark.parametrize("most", [1, 7, 100, 5000, 20_000])
def test_rows_are_at_equal_distances(files: list[Path], most: int) -> None:
    numbers = [int(row) for row in sample.rows(files, most)]
    assert len(numbers) == min(most, 9000)
    assert numbers == sorted(set(numbers))
    if 1 < most < 9000:
        distances = [after - before for before, after in itertools.pairwise(numbers)]
        assert max(distances) <= 1.6 * 9000 / most + 1
        assert numbers[0] == 0
        assert numbers[-1] > 9000 - 2 * 9000 / most
    assert sample.rows(files, most) == sample.rows(files, most)


def test_of_a_large_split_the_beginning_of_each_file_is_read(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "_READ", 300)
    numbers = [int(row) for row in sample.rows(files, 1000)]
    assert numbers == [*range(100), *range(3000, 3100), *range(6000, 6100)]
