"""Artifacts that a task takes: what a Kubeflow server names without a type, and KFP then cannot make."""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.pipelines import registry
from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.lint.rule import Broken, rule


@rule("optional-artifact", targets=("kubeflow",))
def optional_artifact(pipeline: Pipeline) -> Iterator[Broken]:
    """An artifact that is given to an `Optional[Input[...]]`: the task ends with a TypeError on a Kubeflow server."""
    containers = {name: container for name, container, _ in pipeline.containers()}
    for name, task, path in pipeline.tasks():
        label = pipeline.component(task).get("executorLabel", "").removeprefix("exec-")
        optional = _optional_artifacts(containers.get(label, {}))
        for artifact in task.get("inputs", {}).get("artifacts", {}):
            if artifact in optional:
                yield Broken(
                    name,
                    f"{name}: Kubeflow gives {artifact} without its type, and KFP's executor cannot make an Optional: "
                    f"declare it as `{artifact}: {optional[artifact]} = None`, which is optional as well",
                    path,
                )


def _optional_artifacts(container: Mapping[str, Any]) -> dict[str, str]:
    """Returns the artifacts that a lightweight component declares as Optional: their names and the type within."""
    name = registry.executed_function(container.get("args", []))
    types = {}
    for source in container.get("command", []) if name else []:
        function = _function(source, name)
        for argument in function.args.args if function else []:
            inside = _inside_optional(argument.annotation)
            if inside and ("Input[" in inside or "InputPath" in inside):
                types[argument.arg] = inside
    return types


def _function(source: str, name: str) -> ast.FunctionDef | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, RecursionError, MemoryError):  # the shell's part of the command
        return None
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name), None)


def _inside_optional(annotation: ast.expr | None) -> str:
    """Returns X of `Optional[X]`, `Union[X, None]` and `X | None`; "" for any other annotation."""
    match annotation:
        case ast.Subscript(value=ast.Name(id="Optional") | ast.Attribute(attr="Optional"), slice=inside):
            return ast.unparse(inside)
        case ast.Subscript(value=ast.Name(id="Union") | ast.Attribute(attr="Union"), slice=ast.Tuple(elts=members)):
            types = members
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            types = [left, right]
        case _:
            return ""
    others = [member for member in types if not (isinstance(member, ast.Constant) and member.value is None)]
    return ast.unparse(others[0]) if len(others) == 1 < len(types) else ""


RULES = (optional_artifact,)
