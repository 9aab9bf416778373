"""Patterns, spans, versions, ranges and fingerprints."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.components.example_gen import configs
from penstock.components.example_gen.inputs import spans
from penstock.core.errors import ConfigError, DataError
from tests.servers.object_stores import ObjectStore

Folder = Callable[[dict[str, str | bytes]], Path]


def config(**patterns: str) -> str:
    return json.dumps({"splits": [{"name": name, "pattern": pattern} for name, pattern in patterns.items()]})


def resolve(root: Path, pattern: str, range_config: str = "") -> tuple[list[str], int, int]:
    found = spans.resolve(input_base=str(root), input_config=config(all=pattern), range_config=range_config)
    return [split["pattern"] for split in json.loads(found.resolved_input)["splits"]], found.span, found.version


@pytest.fixture
def spanned(folder: Folder) -> Path:
    names = [f"span-{span}/v{version}/data.csv" for span, version in [(1, 1), (2, 1), (2, 10), (2, 9), (10, 3)]]
    return folder(dict.fromkeys([*names, "span-x/v1/data.csv", "span-11/readme.txt"], "a\n1\n"))


def test_the_newest_version_of_the_newest_span_is_read(spanned: Path) -> None:
    assert resolve(spanned, "span-{SPAN}/v{VERSION}/*.csv") == (["span-10/v3/*.csv"], 10, 3)


@pytest.mark.parametrize(
    ("range_config", "patterns", "newest"),
    [
        ({"rolling_range": {"num_spans": 1}}, ["span-10/v3/*"], (10, 3)),
        ({"rolling_range": {"num_spans": 9}}, ["span-2/v10/*", "span-10/v3/*"], (10, 3)),
        ({"rollingRange": {"numSpans": 100, "startSpanNumber": 2}}, ["span-2/v10/*", "span-10/v3/*"], (10, 3)),
        ({"static_range": {"start_span_number": 1, "end_span_number": 2}}, ["span-1/v1/*", "span-2/v10/*"], (2, 10)),
    ],
)
def test_ranges_hold_several_spans(
    spanned: Path, range_config: dict[str, object], patterns: list[str], newest: tuple[int, int]
) -> None:
    assert resolve(spanned, "span-{SPAN}/v{VERSION}/*", json.dumps(range_config)) == (patterns, *newest)


def test_a_range_without_a_span_tells_which_there_are(spanned: Path) -> None:
    wanted = json.dumps({"static_range": {"start_span_number": 3, "end_span_number": 9}})
    with pytest.raises(DataError, match=r"no span between 3 and 9: those of .* are 1, 2, 10"):
        resolve(spanned, "span-{SPAN}/v{VERSION}/*", wanted)


def test_dates_are_spans_in_days(folder: Folder) -> None:
    root = folder(dict.fromkeys(["d-19700103.csv", "d-20170101.csv", "d-20171301.csv"], "a\n1\n"))
    assert resolve(root, "d-{YYYY}{MM}{DD}.csv") == (["d-20170101.csv"], 17167, 0)
    first = json.dumps({"static_range": {"start_span_number": 2, "end_span_number": 2}})
    assert resolve(root, "d-{YYYY}{MM}{DD}.csv", first) == (["d-19700103.csv"], 2, 0)


DATES = ["d-20260129.csv", "d-20260130.csv", "d-20260131.csv", "d-20260202.csv"]


@pytest.mark.parametrize(
    ("first", "last"),
    [("2026-01-30", "2026-01-31"), (20260130, 20260131), (20483, 20484), ("20483", 20260131), (20483.0, "20260131")],
)
def test_ranges_of_dates_may_be_written_as_dates(folder: Folder, first: object, last: object) -> None:
    root = folder(dict.fromkeys(DATES, "a\n1\n"))
    wanted = json.dumps({"static_range": {"start_span_number": first, "end_span_number": last}})
    assert resolve(root, "d-{YYYY}{MM}{DD}.csv", wanted) == (DATES[1:3], 20484, 0)
    rolling = json.dumps({"rolling_range": {"num_spans": 100, "start_span_number": first}})
    assert resolve(root, "d-{YYYY}{MM}{DD}.csv", rolling) == (DATES[1:], 20486, 0)


def test_a_number_of_a_span_is_no_date(folder: Folder) -> None:
    root = folder(dict.fromkeys(["s-20260131.csv", "s-20484.csv"], "a\n1\n"))
    wanted = json.dumps({"static_range": {"start_span_number": 20260131, "end_span_number": 20260131}})
    assert resolve(root, "s-{SPAN}.csv", wanted) == (["s-20260131.csv"], 20260131, 0)
    wanted = json.dumps({"static_range": {"start_span_number": "2026-01-31", "end_span_number": 20260131}})
    with pytest.raises(ConfigError, match=r"start_span_number: expected a number, for the pattern has \{SPAN\}, r"):
        resolve(root, "s-{SPAN}.csv", wanted)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("2026-02-10", "2026-02-12"), "no span between 2026-02-10 and 2026-02-12: those of .* are 2026-01-29 to 2026"),
        ((1, 2), "no span between 1970-01-02 and 1970-01-03: those of .* are 2026-01-29 to 2026-01-31, 2026-02-02"),
        (("2026-02-30", "2026-03-01"), "expected a whole number of days since 1970-01-01, or a date such as 2026"),
        (("2026-01-31", 20260129), "start_span_number, received 2026-01-31 to 2026-01-29"),
    ],
)
def test_ranges_without_a_date_are_told_in_dates(folder: Folder, wanted: tuple[object, object], message: str) -> None:
    root = folder(dict.fromkeys(DATES, "a\n1\n"))
    ends = {"start_span_number": wanted[0], "end_span_number": wanted[1]}
    with pytest.raises((ConfigError, DataError), match=message):
        resolve(root, "d-{YYYY}{MM}{DD}.csv", json.dumps({"static_range": ends}))


def test_a_gap_is_told_in_dates(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    root = folder(dict.fromkeys(DATES, "a\n1\n"))
    resolve(root, "d-{YYYY}{MM}{DD}.csv", json.dumps({"rolling_range": {"num_spans": 4}}))
    assert caplog.messages == [
        "split 'all': of the spans 2026-01-30 to 2026-02-02 there are only 2026-01-30, 2026-01-31, 2026-02-02"
    ]


def test_days_before_1970_are_spans(folder: Folder) -> None:
    root = folder(dict.fromkeys(["d-19691230.csv", "d-19691231.csv"], "a\n1\n"))
    assert resolve(root, "d-{YYYY}{MM}{DD}.csv") == (["d-19691231.csv"], -1, 0)
    two = json.dumps({"rolling_range": {"num_spans": 10**12}})
    assert resolve(root, "d-{YYYY}{MM}{DD}.csv", two) == (["d-19691230.csv", "d-19691231.csv"], -1, 0)


def test_the_spans_and_versions_are_told_in_words(spanned: Path) -> None:
    every = json.dumps({"rolling_range": {"num_spans": 10}})
    found = spans.resolve(
        input_base=str(spanned), input_config=config(all="span-{SPAN}/v{VERSION}/*"), range_config=every
    )
    splits, text = configs.resolved_splits(found.resolved_input)
    assert text == "1 (version 1), 2 (version 10), 10 (version 3)"
    assert [split.pattern for split in splits] == ["span-1/v1/*", "span-2/v10/*", "span-10/v3/*"]
    assert "spans" not in json.loads(spans.resolve(input_base=str(spanned / "span-1" / "v1")).resolved_input)


def test_widths_choose_files(folder: Folder) -> None:
    root = folder(dict.fromkeys(["s-07.csv", "s-123.csv"], "a\n1\n"))
    assert resolve(root, "s-{SPAN:2}.csv") == (["s-07.csv"], 7, 0)


def test_splits_must_agree_on_spans(folder: Folder) -> None:
    root = folder(dict.fromkeys(["train-1.csv", "train-2.csv", "eval-1.csv"], "a\n1\n"))
    patterns = config(train="train-{SPAN}.csv", eval="eval-{SPAN}.csv")
    with pytest.raises(DataError, match=r"split 'eval': expected the spans and versions of split 'train' \(span 2"):
        spans.resolve(input_base=str(root), input_config=patterns)
    (root / "eval-2.csv").write_text("a\n1\n")
    assert spans.resolve(input_base=str(root), input_config=patterns).span == 2


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{VERSION}/*", r"expected \{SPAN\} or a date beside \{VERSION\}"),
        ("{SPAN}/{SPAN}", r"expected \{SPAN\} once"),
        ("{YYYY}/{MM}", r"each of \{YYYY\}, \{MM\} and \{DD\} once"),
        ("{SPAN}/{YYYY}{MM}{DD}", "not both"),
        ("{SPAN:x}/*", "a positive number"),
        ("{SPNA}/*", r"input_config \(data.path, data.splits\): pattern '\{SPNA\}/\*': unknown \{SPNA\}"),
    ],
)
def test_patterns_that_mean_nothing_are_refused(folder: Folder, pattern: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(folder({"a.csv": "a\n1\n"}), pattern)


@pytest.mark.parametrize(
    ("range_config", "message"),
    [
        ('{"rolling_range": {"num_span": 2}}', r"unknown key 'num_span'; did you mean 'num_spans'\?"),
        ('{"rolling_range": {}}', r"rolling_range\.num_spans: expected a whole number, 1 or more, received None"),
        ('{"static_range": {"start_span_number": 3, "end_span_number": 1}}', "received 3 to 1"),
        ('{"static_range": {}, "rolling_range": {}}', "received both"),
        ("{", "range_config: expected JSON"),
    ],
)
def test_ranges_that_mean_nothing_are_refused(folder: Folder, range_config: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(folder({"1.csv": "a\n1\n"}), "{SPAN}.csv", range_config)


def test_a_range_needs_a_span_in_the_pattern(folder: Folder) -> None:
    with pytest.raises(ConfigError, match=r"range_config \(data.range_config\): expected \{SPAN\}"):
        resolve(folder({"1.csv": "a\n1\n"}), "*.csv", '{"rolling_range": {"num_spans": 1}}')


def test_the_fingerprint_is_of_names_and_contents(folder: Folder) -> None:
    files: dict[str, str | bytes] = {"a.csv": "x\n1\n", "b.csv": "x\n2\n"}
    root, copy = folder(files), folder(files)
    fingerprint = spans.resolve(input_base=str(root)).fingerprint
    assert fingerprint.startswith("split:single_split,num_files:2,total_bytes:8,sha256:")
    os.utime(root / "a.csv", (1, 1))
    assert spans.resolve(input_base=str(root)).fingerprint == fingerprint
    assert spans.resolve(input_base=str(copy)).fingerprint == fingerprint
    (copy / "a.csv").write_text("x\n3\n")
    assert spans.resolve(input_base=str(copy)).fingerprint != fingerprint


def test_marks_and_hidden_files_are_no_data(folder: Folder) -> None:
    root = folder({"part-0.csv": "a\n1\n", "_SUCCESS": "", ".part-0.csv.crc": "x", "sub/other.csv": "b\n"})
    with spans.local_files(str(root), spans.configs.DEFAULT_INPUT) as found:
        assert found == {"single_split": [root / "part-0.csv"]}


def test_one_file_may_be_the_input(folder: Folder) -> None:
    root = folder({"a [1].csv": "a\n1\n", "b.csv": "b\n"})
    with spans.local_files(str(root / "a [1].csv"), spans.configs.DEFAULT_INPUT) as files:
        found = files
    assert found == {"single_split": [root / "a [1].csv"]}


@pytest.mark.parametrize("stored", [False, True])
def test_a_path_that_exists_is_that_path(folder: Folder, object_store: ObjectStore, stored: bool) -> None:
    """Files and folders whose names are patterns, beside those that the patterns match; in a folder and in a store."""
    names = ["data[1].csv", "data1.csv", "s{SPAN}.csv", "s3.csv", "old[1]/a.csv", "old1/a.csv", "old[1]/b-2.csv"]
    files: dict[str, str | bytes] = {name: f"a\n{name}\n" for name in names}
    base = object_store.write(files, "data") if stored else str(folder(files))
    for pattern, expected in [
        ("data[1].csv", ["data[1].csv"]),
        ("data[2].csv", []),
        ("data[1]*", ["data1.csv"]),
        ("s{SPAN}.csv", ["s{SPAN}.csv"]),
        ("s*.csv", ["s3.csv", "s{SPAN}.csv"]),
        ("old[1]", ["old[1]/a.csv", "old[1]/b-2.csv"]),
        ("old[1]/*", ["old[1]/a.csv", "old[1]/b-2.csv"]),
        ("old[1]/b-{SPAN}.csv", ["old[1]/b-2.csv"]),
        ("old[12]/*.csv", ["old1/a.csv"]),
    ]:
        if not expected:
            with pytest.raises(DataError, match="no file matches"):
                spans.resolve(input_base=base, input_config=config(all=pattern))
            continue
        found = spans.resolve(input_base=base, input_config=config(all=pattern))
        splits, _ = configs.resolved_splits(found.resolved_input)
        with spans.local_files(base, splits) as read:
            assert [path.read_text() for path in read["all"]] == [f"a\n{name}\n" for name in expected], pattern
    alone = spans.resolve(input_base=f"{base}/data[1].csv")
    with spans.local_files(f"{base}/data[1].csv", configs.resolved_splits(alone.resolved_input)[0]) as read:
        assert [path.read_text() for path in read["single_split"]] == ["a\ndata[1].csv\n"]


def test_what_is_neither_a_file_nor_a_folder_is_told(folder: Folder) -> None:
    root = folder({"a.csv": "a\n1\n"})
    os.mkfifo(root / "pipe.csv")
    with pytest.raises(DataError, match=r"input_base \(data.path\): .*/pipe.csv is a named pipe: expected a file or a"):
        spans.resolve(input_base=str(root / "pipe.csv"))
    with pytest.raises(DataError, match=r"pipe.csv is a named pipe: expected a file"):
        spans.resolve(input_base=str(root))
    assert "num_files:1," in spans.resolve(input_base=str(root), input_config=config(all="a*")).fingerprint
    with pytest.raises(DataError, match=r"it holds a.csv, pipe.csv \(a named pipe\)"):
        spans.resolve(input_base=str(root), input_config=config(all="*.tsv"))


def test_missing_data_is_told(folder: Folder) -> None:
    root = folder({"a.csv": "a\n1\n"})
    with pytest.raises(DataError, match=r"input_base \(data.path\): .*/nowhere does not exist"):
        spans.resolve(input_base=str(root / "nowhere"))
    with pytest.raises(DataError, match=r"split 'all': no file matches '\*.tsv' in .*: it holds a.csv"):
        resolve(root, "*.tsv")
    with pytest.raises(DataError, match=r"no file matches 'x\{SPAN\}' in"):
        resolve(root, "x{SPAN}")


def test_data_inside_a_package_is_found_where_the_task_runs(taxi_csv: Path) -> None:
    """The files are the same, so the fingerprint is; a file's and a folder's path will do."""
    at = "package:tfx/examples/chicago_taxi_pipeline/data/simple"
    here = spans.resolve(input_base=str(taxi_csv.parent), input_config=config(all="*.csv"))
    assert spans.resolve(input_base=at, input_config=config(all="*.csv")) == here
    (split,) = configs.input_splits("")
    for input_base in (at, f"{at}/data.csv"):
        assert "num_files:1," in spans.resolve(input_base=input_base).fingerprint
        with spans.local_files(input_base, [split]) as files:
            assert files == {split.name: [taxi_csv]}


def test_data_inside_a_package_that_is_not_there() -> None:
    told = r"input_base \(data.path\): package:no_such/data: there is no package 'no_such' where this task runs: e"
    with pytest.raises(ConfigError, match=told):
        spans.resolve(input_base="package:no_such/data")
    with pytest.raises(DataError, match=r"input_base \(data.path\): package:tfx/nix does not exist"):
        spans.resolve(input_base="package:tfx/nix")


def test_a_file_is_in_one_split_only(folder: Folder) -> None:
    root = folder({"a.csv": "a\n1\n"})
    with pytest.raises(ConfigError, match="matches those of 'train' and 'eval'"):
        spans.resolve(input_base=str(root), input_config=config(train="*", eval="a*"))


def test_the_resolver_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from penstock.components.example_gen.inputs import spans; "
        "print([m for m in ('pyarrow', 'numpy', 'tensorflow', 'apache_beam') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_object_store_is_searched_as_a_folder_is(folder: Folder, object_store: ObjectStore) -> None:
    """The same names, in a folder and in a store: every pattern finds the same in both."""
    names = [f"span-{span}/v{version}/data.csv" for span, version in [(1, 1), (2, 1), (2, 10), (10, 3)]]
    names += ["span-x/v1/data.csv", "span-10/v3/_SUCCESS", "span-10/v3/.data.crc", ".hidden/a.csv", "a [1].csv"]
    files: dict[str, str | bytes] = dict.fromkeys([*names, "span-10/v3/deep/b.csv", "_marked.csv", "x.csv"], "a\n1\n")
    root, uri = folder(files), object_store.write(files, "data")
    two = json.dumps({"rolling_range": {"num_spans": 9}})
    for pattern in ("*", "x.csv", "?.csv", "[!ab]*.csv", "**/*.csv", "**", "span-10/**", "*/v3/*", ".hidden/*", "_*"):
        found = []
        for base in (str(root), uri):
            with spans.local_files(base, spans.configs.input_splits(config(all=pattern))) as read:
                found.append([(path.name, path.read_text()) for path in read["all"]])
        assert found[0] == found[1], pattern
    for pattern, range_config in (("span-{SPAN}/v{VERSION}/*", ""), ("span-{SPAN}/v{VERSION}/*.csv", two)):
        local = spans.resolve(input_base=str(root), input_config=config(all=pattern), range_config=range_config)
        there = spans.resolve(input_base=uri, input_config=config(all=pattern), range_config=range_config)
        assert (there.resolved_input, there.span, there.version) == (local.resolved_input, local.span, local.version)
        assert there.span == 10
    with spans.local_files(f"{uri}/a [1].csv", spans.configs.DEFAULT_INPUT) as read:
        assert [path.name for path in read["single_split"]] == ["a [1].csv"]


def test_the_fingerprint_of_objects_follows_their_contents(object_store: ObjectStore) -> None:
    def fingerprint() -> str:
        return spans.resolve(input_base=uri, input_config=config(all="*.csv")).fingerprint

    uri = object_store.write({"a.csv": "a\n1\n", "b.csv": "a\n2\n"}, "data")
    first = fingerprint()
    assert first.startswith("split:all,num_files:2,total_bytes:8,checksums:")
    object_store.write({"a.csv": "a\n1\n", "notes.txt": "no data"}, "data")
    assert fingerprint() == first, "the same contents, written again"
    object_store.write({"a.csv": "a\n3\n"}, "data")
    assert fingerprint() != first


def test_nothing_in_the_store_matches(object_store: ObjectStore) -> None:
    uri = object_store.write({"a.txt": "x", "deep/b.txt": "x"}, "data")
    with pytest.raises(DataError, match=rf"no file matches '\*.csv' in {uri}: it holds a.txt, deep/"):
        spans.resolve(input_base=uri, input_config=config(all="*.csv"))
    with pytest.raises(
        DataError, match=r"no file matches 'span-\{SPAN\}/\*' in .*/none: there is no such file or folder"
    ):
        spans.resolve(input_base=object_store.uri("none"), input_config=config(all="span-{SPAN}/*"))
