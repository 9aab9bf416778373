"""Why a task ran, told from two keys."""

import json
from dataclasses import replace

import pytest

from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.reasons import reason

LONG = {"feature_values": {name: name * 10 for name in "abcdef"}}


def key(code: str = "a", source: str = "s", version: str = "1", **parameters: object) -> Key:
    given = {name: json.dumps(value) for name, value in parameters.items()}
    return Key("trainer", source, version, given, {}, code)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"steps": 200.0}, {"steps": 100.0}, "parameter steps 200 -> 100"),
        (
            {"args": '{"num_steps": 200.0, "splits": ["train"]}', "pipelinechannel--steps": 200.0},
            {"args": '{"num_steps": 100.0, "splits": ["train"]}', "pipelinechannel--steps": 100.0},
            "parameter args.num_steps 200 -> 100",
        ),
        (
            {"eval_config": json.dumps({"metrics_specs": [{"metrics": [{"class_name": "AUC"}]}], "options": {"a": 1}})},
            {"eval_config": json.dumps({"metrics_specs": [{"metrics": [{"class_name": "AUC", "threshold": LONG}]}],
                                        "slicing_specs": [LONG]})},
            "parameter eval_config.metrics_specs[0].metrics[0].threshold is new, eval_config.options is gone, "
            "eval_config.slicing_specs is new",
        ),
        (
            {"args": json.dumps(dict.fromkeys("abcde", 1))}, {"args": json.dumps({name: [2, 3] for name in "abcde"})},
            "parameter args.a 1 -> [2, 3], args.b 1 -> [2, 3], args.c 1 -> [2, 3] and 2 more keys of it",
        ),
        ({"pipelinechannel--steps": 2.0}, {"pipelinechannel--steps": 1.0}, "parameter steps 2 -> 1"),
        ({"note": "{"}, {"note": "{}"}, 'parameter note "{" -> {}'),
        ({"fingerprint": "x"}, {"fingerprint": "y"}, "the data changed"),
        ({"file": "{pipeline_root}/modules/1/taxi.py"}, {"file": "{pipeline_root}/modules/2/taxi.py"},
         "module file taxi.py, or a module beside it, changed"),
        ({"schema_file": "{pipeline_root}/files/1/s.pbtxt"}, {"schema_file": "{pipeline_root}/files/2/s.pbtxt"},
         "the contents of schema_file changed"),
        ({"text": "a" * 70 + "bcd"}, {"text": "a" * 70 + "xyz"},
         'parameter text …aaaaaaaaaaaabcd" -> …aaaaaaaaaaaaxyz"'),
        (
            {"resolved_input": '{"splits": [1], "spans": "2026-01-29"}', "span": 20482.0, "label": "a"},
            {"resolved_input": '{"splits": [2], "spans": "2026-01-30"}', "span": 20483.0, "label": "b"},
            'spans read 2026-01-29 -> 2026-01-30; parameter label "a" -> "b"',
        ),
        (
            {"resolved_input": '{"splits": [1], "spans": "1"}', "fingerprint": "x"},
            {"resolved_input": '{"splits": [1], "spans": "1"}', "fingerprint": "y"},
            "the data changed",
        ),
        ({}, {"steps": 1}, "parameter steps is new"),
        ({"code": "a"}, {"code": "b"}, "the component's own code changed"),
        ({"code": ""}, {"code": "b"}, "its earlier outputs are gone, or were not final"),
        ({"version": "1", "code": "a"}, {"version": "2", "code": "b"}, "package version 1 -> 2"),
        ({"source": "s", "a": 1}, {"source": "t", "a": 2}, "component's source changed; parameter a 1 -> 2"),
    ],
)  # fmt: skip
def test_the_change_is_named(before: dict[str, str], after: dict[str, str], told: str) -> None:
    assert reason(key(**after), key(**before), {}).text == told


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ({"environment variable TF_X": "1"}, {"environment variable TF_X": "0"}, "environment variable TF_X 1 -> 0"),
        ({"Python": "3.12.1"}, {"Python": "3.12.1", "environment variable TZ": "UTC"},
         "environment variable TZ is new"),
        ({"environment variable TOKEN": "sha256:ab"}, {"environment variable TOKEN": "sha256:cd"},
         "environment variable TOKEN changed"),
        ({"package keras": "3.14", "Python": "3.12"}, {"package keras": "3.15", "Python": "3.13"},
         "Python 3.12 -> 3.13; package keras 3.14 -> 3.15"),
        ({}, {"Python": "3.13"}, "its earlier outputs are gone, or were not final"),
    ],
)  # fmt: skip
def test_a_change_of_the_environment_is_named(before: dict[str, str], after: dict[str, str], sentence: str) -> None:
    assert reason(replace(key(), environment=after), replace(key(), environment=before), {}).text == sentence


def test_inputs_that_were_made_again_are_not_told_as_changed() -> None:
    before, after = (replace(key(), inputs={"model": run, "data": run}) for run in ("run-1/a", "run-2/a"))
    made_by = {"model": "trainer", "data": "csv-example-gen"}
    again = reason(after, before, made_by, made_by)
    assert (again.text, again.changed) == (
        "input data (from csv-example-gen) was made again; input model (from trainer) was made again", False
    )  # fmt: skip
    assert reason(after, before, made_by, made_by, asked=False).text == "the cache was not asked"
    other = reason(after, before, made_by, ["data"], asked=False)
    assert (other.text, other.changed) == ("input model (from trainer) changed", True)


@pytest.mark.parametrize("damaged", ["", "{", "[" * 100_000, "12x"])
def test_a_record_that_was_damaged_is_compared_as_text(damaged: str) -> None:
    for name in ("resolved_input", "steps"):
        before = Key("trainer", "s", "1", {name: damaged}, {})
        told = reason(Key("trainer", "s", "1", {name: '"now"'}, {}), before, {}).text
        assert told.startswith(f"parameter {name} ")
        assert told.endswith('-> "now"')
        assert len(told) < 200
