"""How a Kubeflow Pipelines server reads what it is given to make: each function raises the Refusal of it.

The messages are those of a server of version 2.17.0 on MySQL (captured/kubeflow_answers.json).
"""

import json
from types import SimpleNamespace
from typing import Any

import kfp_server_api
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.servers.loopback import Refusal

_LONGEST_NAME = 128
# The columns of the database that hold names.
_COLUMNS = {"runs": "run_details.DisplayName", "experiments": "experiments.Name", "recurringruns": "jobs.DisplayName"}
# robfig/cron's fields, in the order of its first version: the weekday may be left out.
_CRON_FIELDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def malformed(body: bytes) -> str:
    """Returns what Go says of JSON that is none."""
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        what = "object key string" if "property name" in error.msg else "value"
        return f"invalid character {body.decode()[error.pos]!r} looking for beginning of {what}"
    raise AssertionError(body)


def check_fields(body: Any, model: str) -> None:
    """Holds a body against a model of the generated client, with the models inside it."""
    _check_keys(body, model, json.dumps(body))
    kfp_server_api.ApiClient().deserialize(SimpleNamespace(data=json.dumps(body)), model)


def _check_keys(body: Any, model: str, sent: str) -> None:
    kind = getattr(kfp_server_api, model, None)
    if kind is None or not isinstance(body, dict):
        return
    types = {key: kind.openapi_types[name] for name, key in kind.attribute_map.items()}
    for key, value in body.items():
        if key not in types:
            raise Refusal(400, f'proto: (line 1:{sent.rindex(json.dumps(key)) + 1}): unknown field "{key}"')
        _check_keys(value, types[key], sent)


def check_run(body: dict[str, Any]) -> None:
    if not body.get("display_name"):
        raise Refusal(
            500,
            "CreateJob(job.ToV2())Failed to create a run due to conversion error: InternalServerError: Failed to "
            "convert a API run detail to its internal representation: Invalid input error: Run name cannot be empty",
        )
    _check_spec(body)


def check_recurring_run(body: dict[str, Any]) -> None:
    trigger, most = body.get("trigger", {}), int(body.get("max_concurrency", 1))
    seconds = trigger.get("periodic_schedule", {}).get("interval_second")
    cron = trigger.get("cron_schedule", {}).get("cron")
    wrong = ""
    if not 1 <= most <= 10:
        wrong = f"Max concurrency of a recurring run must be at least 1 and at most 10. Received {most}"
    elif seconds is not None and int(seconds) < 1:
        wrong = f"Found invalid period schedule interval {seconds}. Set at interval to least 1 second"
    elif cron is not None and (found := _wrong_cron(cron)):
        wrong = f"Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron). Error: {found}"
    if wrong:
        raise Refusal(400, f"Failed to create a recurring run due to conversion error: Invalid input error: {wrong}")
    _check_spec(body)


def _wrong_cron(expression: str) -> str:
    """Returns what robfig/cron says of numbers out of their range; names it takes as they are."""
    fields = expression.split()
    if not 5 <= len(fields) <= 6:
        return f"Expected 5 to 6 fields, found {len(fields)}: {expression}"
    for field, (least, most) in zip(fields, _CRON_FIELDS, strict=False):
        for part in field.split(","):
            numbers = [int(one) for one in part.partition("/")[0].split("-") if one.isdecimal()]
            if numbers and numbers[-1] > most:
                return f"End of range ({numbers[-1]}) above maximum ({most}): {part}"
            if numbers and numbers[0] < least:
                return f"Beginning of range ({numbers[0]}) below minimum ({least}): {part}"
    return ""


def _check_spec(body: dict[str, Any]) -> None:
    """Reads the pipeline as the protocol has it, and holds the run's parameters against its own."""
    outcome = "Failed to create a new run: InternalServerError: Failed to create a run due to error fetching manifest: "
    spec = body.get("pipeline_spec")
    if spec is None:
        raise Refusal(
            500, f"{outcome}Invalid input error: Failed to fetch a template with an empty pipeline spec manifest"
        )
    platform = spec.get("platform_spec", {})
    spec = spec["pipeline_spec"] if platform else spec
    try:
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
        read = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    except json_format.ParseError:
        read = None
    if read is None or not read.pipeline_info.name:
        cause = "InvalidInputError: unknown template format: pipeline spec is invalid"
        raise Refusal(500, f"{outcome}Failed to fetch a template with an invalid pipeline spec manifest: {cause}")
    known = read.root.input_definitions.parameters
    unknown = [name for name in body.get("runtime_config", {}).get("parameters", {}) if name not in known]
    if unknown:
        raise Refusal(
            400,
            "Failed to create a new run: Failed to generate the ExecutionSpec: invalid pipeline job inputs: Invalid "
            f"input error: parameter(s) provided are not required by pipeline: {', '.join(unknown)}",
        )


def check_name(kind: str, name: str) -> None:
    """Refuses a name that the column of the database cannot hold, in MySQL's words."""
    table, _, column = _COLUMNS[kind].partition(".")
    wide = next((index for index, letter in enumerate(name) if ord(letter) > 0xFFFF), None)
    if wide is not None:
        left = name[wide:].encode()
        shown = "".join(f"\\x{byte:02X}" if byte > 0x7F else chr(byte) for byte in left[:6]) + "..." * (len(left) > 6)
        place = f"`mlpipeline`.`{table}`.`{column}`"
        told = f"Error 1366 (22007): Incorrect string value: '{shown}' for column {place} at row 1"
    elif len(name) > _LONGEST_NAME:
        told = f"Error 1406 (22001): Data too long for column '{column}' at row 1"
    else:
        return
    word = {"runs": "run", "experiments": "experiment", "recurringruns": "recurring run"}[kind]
    outcome = "Failed to create a new run" if kind == "runs" else f"Failed to create a {word}"
    raise Refusal(
        500,
        f"{outcome}: Failed to create a {word}: InternalServerError: Failed to store {word} {name} to table: {told}",
    )
