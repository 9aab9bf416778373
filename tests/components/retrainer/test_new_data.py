"""What the data has that a model was not trained on: of spans, and of files that grow."""

from pathlib import Path

from penstock.components.example_gen.inputs import spans
from penstock.components.retrainer import new_data
from penstock.components.retrainer.new_data import Source
from penstock.core.artifacts.monitoring import TrainedOn

ROW = "1,2\n"
SPANS = '{"splits": [{"name": "all", "pattern": "span-{SPAN}/v{VERSION}/*"}]}'


def write(path: Path, rows: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ROW * rows)


def trained(source: Source, rows: int) -> TrainedOn:
    """Returns what the examples of a run say that reads the data now."""
    resolved = spans.resolve(
        input_base=source.input_base, input_config=source.input_config, range_config=source.range_config
    )
    return TrainedOn(fingerprint=resolved.fingerprint, span=resolved.span, spans=spans.in_words(resolved), rows=rows)


def test_new_spans_are_counted_whatever_the_range(tmp_path: Path) -> None:
    source = Source(str(tmp_path), SPANS)
    write(tmp_path / "span-3" / "v1" / "a.csv", 100)
    known = trained(source, 100)
    before = new_data.look(source, known)
    assert (before.fingerprint, before.newer_spans, before.newer_rows) == (known["fingerprint"], 0, 0)
    write(tmp_path / "span-4" / "v1" / "a.csv", 999)  # of which there is a newer version
    write(tmp_path / "span-4" / "v2" / "a.csv", 50)
    write(tmp_path / "span-7" / "v1" / "a.csv", 200)
    now = new_data.look(source, known)
    assert now.fingerprint != known["fingerprint"]
    assert (now.spans, now.newer_spans, now.newer_rows) == ("7 (version 1)", 2, 250)


def test_a_file_that_grows_has_new_rows(tmp_path: Path) -> None:
    source = Source(str(tmp_path))
    write(tmp_path / "a.csv", 1000)
    known = trained(source, 1000)
    write(tmp_path / "b.csv", 500)
    now = new_data.look(source, known)
    assert (now.spans, now.newer_spans, now.newer_rows) == ("", 0, 500)
    assert now.fingerprint != known["fingerprint"]


def test_of_a_model_of_which_nobody_knows_it_nothing_is_new(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 10)
    now = new_data.look(Source(str(tmp_path)), None)
    assert (now.newer_spans, now.newer_rows) == (None, None)
    assert now.fingerprint
