"""KFP's launcher (launcher_v2): copies a task's inputs into its pod, runs its command, and copies its outputs out."""

import json
import time
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from tests.servers.cluster.driver import text
from tests.servers.cluster.metadata import Metadata, Outputs
from tests.servers.cluster.pods import Pod, Terminated
from tests.servers.cluster.storage import LauncherError, Root, Store, local_path


class Launcher:
    """The launcher of one pod. `given` is the executor input that the command got."""

    def __init__(self, pod: Pod, store: Store, metadata: Metadata, root: str) -> None:
        self._pod, self._store, self._metadata, self._root = pod, store, metadata, Root(root)
        self.given: dict[str, Any] = {}

    def launch(self, executor_input: Mapping[str, Any], component: Mapping[str, Any], command: list[str]) -> Outputs:
        """Runs a command; a LauncherError if it fails, or if its outputs do not lie where the run's do."""
        executor_input = json.loads(json.dumps(executor_input))
        try:
            for name, given in executor_input.get("inputs", {}).get("artifacts", {}).items():
                self._download(name, given["artifacts"][0]["uri"])
            self._prepare(executor_input["outputs"])
            terminated = self._run(executor_input, component, command)
            if terminated.code:
                raise LauncherError(f"exit status {terminated.code}")
            given = self._output_file(executor_input["outputs"]["outputFile"])
            parameters = self._parameters(executor_input["outputs"], component, given.get("parameterValues", {}))
            return Outputs(parameters, self._upload(executor_input["outputs"], given.get("artifacts", {})))
        except LauncherError as error:
            stamp = time.strftime("%m%d %H:%M:%S.000000")
            self._pod.say(f"F{stamp}      17 main.go:57] failed to execute component: {error}")
            self._pod.say('time="2026-01-01T00:00:00.000Z" level=info msg="sub-process exited" argo=true error="<nil>"')
            self._pod.say("Error: exit status 1")
            raise

    def _download(self, name: str, uri: str) -> None:
        path = local_path(uri)
        if path is None:
            self._warn(
                f'Input Artifact "{name}" does not have a recognized storage URI "{uri}". '
                "Skipping downloading to local path."
            )
            return
        self._store.download(uri, self._pod.outside(path))

    def _prepare(self, outputs: Mapping[str, Any]) -> None:
        for one in outputs.get("parameters", {}).values():
            self._pod.outside(one["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
        for one in outputs["artifacts"].values():
            path = local_path(one["artifacts"][0]["uri"])
            if path is None:
                raise LauncherError(f"failed to generate local path for URI {one['artifacts'][0]['uri']}")
            self._pod.outside(path).parent.mkdir(parents=True, exist_ok=True)

    def _run(self, executor_input: dict[str, Any], component: Mapping[str, Any], command: list[str]) -> Terminated:
        logs = local_path(executor_input["outputs"]["artifacts"]["executor-logs"]["artifacts"][0]["uri"])
        told = self._pod.outside(str(logs))
        told.touch()
        self._pod.own()
        return self._pod.run(self._command(with_defaults(executor_input, component), command), told)

    def _command(self, executor_input: Mapping[str, Any], command: list[str]) -> list[str]:
        """Puts the task's values into its command, and notes the executor input in it."""
        replaced = _placeholders(executor_input)
        for placeholder in replaced:  # {{$}} first: KFP's compiler writes others into parameters' values
            command = [word.replace(placeholder, replaced[placeholder]) for word in command]
        if "--executor_input" in command:
            self.given = json.loads(command[command.index("--executor_input") + 1])
        return command

    def _output_file(self, path: str) -> dict[str, Any]:
        try:
            found = json.loads(self._pod.outside(path).read_text())
            json_format.ParseDict(found, pipeline_spec_pb2.ExecutorOutput())
        except FileNotFoundError:
            return {}
        except (ValueError, json_format.ParseError) as error:
            raise LauncherError(f'failed to unmarshall ExecutorOutput in file "{path}": {error}') from None
        return dict(found)

    def _parameters(
        self, outputs: Mapping[str, Any], component: Mapping[str, Any], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        found = dict(given)
        for name, one in outputs.get("parameters", {}).items():
            if name in found:
                continue
            kind = component["outputDefinitions"]["parameters"][name]["parameterType"]
            try:
                read = self._pod.outside(one["outputFile"]).read_text()
                found[name] = read if kind == "STRING" else json.loads(read)
            except (OSError, ValueError) as error:
                raise LauncherError(
                    f'failed to read output parameter name="{name}" type="{kind}" path="{one["outputFile"]}": {error}'
                ) from None
        return found

    def _upload(self, outputs: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, one in outputs["artifacts"].items():
            artifact = dict(one["artifacts"][0])
            for written in given.get(name, {}).get("artifacts", [])[:1]:
                artifact["uri"] = written.get("uri") or artifact["uri"]
                artifact["metadata"] = artifact.get("metadata", {}) | written.get("metadata", {})
            self._upload_one(name, artifact["uri"])
            session = self._store.session(self._root.uri)
            found[name] = [self._metadata.record(name, artifact, session)]
        return found

    def _upload_one(self, name: str, uri: str) -> None:
        path = local_path(uri)
        if path is None:
            self._warn(f'Output Artifact "{name}" does not have a recognized storage URI "{uri}". Skipping uploading')
            return
        try:
            self._root.key(uri)
        except LauncherError as error:
            raise LauncherError(f'failed to upload output artifact "{name}": {error}') from None
        try:
            self._store.upload(self._pod.outside(path), uri)
        except FileNotFoundError:
            self._warn(f'Local filepath "{path}" does not exist')

    def _warn(self, message: str) -> None:
        self._pod.say(f"W{time.strftime('%m%d %H:%M:%S.000000')}      17 launcher_v2.go:600] {message}")


def with_defaults(executor_input: dict[str, Any], component: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the values that the component itself has for parameters that nothing else gives."""
    inputs = executor_input.setdefault("inputs", {})
    values = inputs.setdefault("parameterValues", {})
    for name, one in component.get("inputDefinitions", {}).get("parameters", {}).items():
        if "defaultValue" in one and name not in values:
            default = one["defaultValue"]
            is_whole = isinstance(default, float) and default.is_integer()
            values[name] = int(default) if is_whole else default
    inputs["parameterValues"] = dict(sorted(values.items()))
    return executor_input


def _placeholders(executor_input: Mapping[str, Any]) -> dict[str, str]:
    inputs, outputs = executor_input["inputs"], executor_input["outputs"]
    found = {"{{$}}": json.dumps(executor_input, ensure_ascii=False, separators=(",", ":"))}
    for side, given in (("inputs", inputs), ("outputs", outputs)):
        for name, one in given.get("artifacts", {}).items():
            uri = one["artifacts"][0]["uri"]
            found[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = uri
            path = local_path(uri)
            if path is not None:
                found[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = path
    for name, value in inputs["parameterValues"].items():
        found[f"{{{{$.inputs.parameters['{name}']}}}}"] = text(value)
    for name, one in outputs.get("parameters", {}).items():
        found[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = one["outputFile"]
    return found
