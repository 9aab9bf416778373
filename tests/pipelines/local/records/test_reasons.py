"""Why a task ran, told from two keys."""

import json

import pytest

from penstock.pipelines.local.records.cache import Key
from penstock.pipelines.local.records.reasons import reason


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
        ({"pipelinechannel--steps": 2.0}, {"pipelinechannel--steps": 1.0}, "parameter steps 2 -> 1"),
        ({"note": "{"}, {"note": "{}"}, 'parameter note "{" -> {}'),
        ({"fingerprint": "x"}, {"fingerprint": "y"}, "the data changed"),
        ({"file": "{pipeline_root}/modules/1/taxi.py"}, {"file": "{pipeline_root}/modules/2/taxi.py"},
         "module file taxi.py, or a module beside it, changed"),
        ({"schema_file": "{pipeline_root}/files/1/s.pbtxt"}, {"schema_file": "{pipeline_root}/files/2/s.pbtxt"},
         "the contents of schema_file changed"),
        ({"text": "a" * 70 + "bcd"}, {"text": "a" * 70 + "xyz"},
         'parameter text …aaaaaaaaaaaabcd" -> …aaaaaaaaaaaaxyz"'),
        ({}, {"steps": 1}, "parameter steps is new"),
        ({"code": "a"}, {"code": "b"}, "the component's own code changed"),
        ({"code": ""}, {"code": "b"}, "its earlier outputs are gone"),
        ({"version": "1", "code": "a"}, {"version": "2", "code": "b"}, "package version 1 -> 2"),
        ({"source": "s", "a": 1}, {"source": "t", "a": 2}, "component's source changed; parameter a 1 -> 2"),
    ],
)  # fmt: skip
def test_the_change_is_named(before: dict[str, str], after: dict[str, str], told: str) -> None:
    assert reason(key(**after), key(**before), {}) == told
