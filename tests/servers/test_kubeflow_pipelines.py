"""The loopback server answers as a Kubeflow Pipelines server of version 2.17.0 has, request by request."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kfp
import pytest
import urllib3
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.servers.kubeflow_pipelines import KubeflowPipelines

CAPTURED = json.loads((Path(__file__).parent / "captured" / "kubeflow_answers.json").read_text(encoding="utf-8"))
# What later requests name, by the request that has made it.
_MADE = {
    "experiment": ("EXPERIMENT", "experiment_id"),
    "run": ("RUN", "run_id"),
    "recurring": ("RECURRING", "recurring_run_id"),
}
_NAMED = re.compile(r'(?<=[/="])(EXPERIMENT|RUN|RECURRING)(?=["/:&]|$)')
_TAG = "ebd580"  # the random word of the capture
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z")
_COLUMN = re.compile(r"\(line 1:[0-9]+\)")


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, tuple[int, str, Any]]]:
    """What the loopback server says to the captured requests, one after the other."""
    names: dict[str, str] = {}
    found = {}
    with KubeflowPipelines() as server, urllib3.PoolManager() as http:
        for case in CAPTURED:
            request = case["request"]
            body = request["body"]
            sent = None if body is None else body if isinstance(body, str) else json.dumps(body)
            path, sent = (_filled(text, names) for text in (request["path"], sent))
            headers = {"Content-Type": "application/json"} if sent else {}
            answer = http.request(request["method"], server.url + path, body=sent, headers=headers)
            is_json = "json" in answer.headers["Content-Type"]
            found[case["name"]] = (
                answer.status,
                answer.headers["Content-Type"],
                answer.json() if is_json else answer.data.decode(),
            )
            if case["name"] in _MADE:
                word, key = _MADE[case["name"]]
                names[word] = answer.json()[key]
    return found


def _filled(text: str | None, names: dict[str, str]) -> str | None:
    if text is None:
        return None
    text = _NAMED.sub(lambda found: names[found[0]], text.replace("TAG", _TAG))
    return text.replace('"<compiled pipeline>"', json.dumps(_compiled()))


def _compiled() -> dict[str, Any]:
    @kfp.dsl.component
    def work() -> None:
        pass

    @kfp.dsl.pipeline(name="small")
    def pipeline() -> None:
        work()

    found: dict[str, Any] = json_format.MessageToDict(pipeline.pipeline_spec)
    return found


@pytest.mark.parametrize("case", CAPTURED, ids=lambda case: case["name"])
def test_an_answer_is_as_captured(case: dict[str, Any], answers: dict[str, tuple[int, str, Any]]) -> None:
    status, kind, answer = answers[case["name"]]
    assert (status, kind) == (case["status"], case["content_type"])
    _compare(case["answer"], answer)


def test_every_request_is_asked(answers: dict[str, tuple[int, str, Any]]) -> None:
    assert len(answers) == len(CAPTURED) == 68


def _compare(captured: Any, answer: Any) -> None:
    if isinstance(captured, dict):
        assert captured.keys() == answer.keys()
        for key, value in captured.items():
            if key == "pipeline_spec":
                spec = json_format.ParseDict(answer[key], pipeline_spec_pb2.PipelineSpec())
                assert spec.pipeline_info.name == "small"
            elif key == "total_size" and "experiments" in captured:
                assert answer[key] <= value  # that server had others
            elif key not in ("commit_sha", "next_page_token"):
                _compare(value, answer[key])
    elif isinstance(captured, list):
        shown = [one for one in captured if not str(one).startswith("... ")]
        assert len(answer) >= len(shown)
        assert (len(answer) > len(shown)) == (len(shown) < len(captured))
        for one, other in zip(shown, answer, strict=False):
            _compare(one, other)
    elif isinstance(captured, str) and captured.endswith("…"):
        assert answer.startswith(captured[:-1])
    else:
        assert _masked(captured) == _masked(answer)


def _masked(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = value.replace(
        "\xa0", " "
    )  # Go's protobuf puts one into some builds' messages, so that nobody compares them
    return _COLUMN.sub("(line 1:N)", _TIME.sub("TIME", _UUID.sub("ID", value)))
