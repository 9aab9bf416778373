"""Which Keras a module means, read from its source by what only one of them has.

TFX's own modules were written for Keras 2 or 3. Which of them `tf.keras` is depends there on the order of imports; here
the tasks that call the module get the one that it means.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from penstock.pipelines.modules import parsed
from penstock.pipelines.modules.dotted_names import DottedNames
from penstock.pipelines.modules.keras_names import ONLY_2, ONLY_3
from penstock.pipelines.modules.makers import Makers, assigned, dotted_text

# Packages whose layers and models are Keras 2's, and what of other packages is.
_KERAS_2 = {
    "official",
    "tensorflow.compat.v1.layers",
    "tensorflow_addons",
    "tensorflow_decision_forests",
    "tensorflow_hub.KerasLayer",
    "tensorflow_model_optimization",
    "tensorflow_probability.layers",
    "tensorflow_ranking",
    "tensorflow_recommenders",
    "tf_keras",
}
_ROOTS = ("tensorflow.keras", "keras")
_SUFFIX = re.compile(r"\.\w+$")
# FnArgs' folders of SavedModels, and where models are kept while they are trained.
_FOLDERS = frozenset({"serving_model_dir", "eval_model_dir", "base_model"})
_ALL_FOLDERS = _FOLDERS | {"model_run_dir"}
# Calls that Keras 3 refuses a path without its suffixes (.keras, .weights.h5): which argument it is, and its name.
_PLACES: dict[str, tuple[int, str, Set[str]]] = {
    "save": (0, "filepath", _FOLDERS),  # a tf.train.Checkpoint is saved in model_run_dir by a method of this name
    "save_model": (1, "filepath", _ALL_FOLDERS),
    "load_model": (0, "filepath", _ALL_FOLDERS),
    "save_weights": (0, "filepath", _ALL_FOLDERS),
    "load_weights": (0, "filepath", _ALL_FOLDERS),
    "ModelCheckpoint": (0, "filepath", _ALL_FOLDERS),
}
_MODELS = {"Model", "Sequential", "Input", "InputLayer"}
# Arguments that only Keras 2's functions have, by the functions' last names.
_OF_FIT = frozenset({"workers", "use_multiprocessing", "max_queue_size"})
_ARGUMENTS: dict[str, Set[str]] = {
    **dict.fromkeys(("fit", "evaluate", "predict"), _OF_FIT),
    "ModelCheckpoint": {"period"},
    "save": {"signatures"},
}
_METHODS = {"fit_generator", "evaluate_generator", "predict_generator"}
_LAYER_MAKERS = ("transform_features_layer", "TransformFeaturesLayer")  # of TensorFlow Transform
_SAVE_FORMATS = ("h5", "keras")  # which Keras 3 takes from a file's name


@dataclass(frozen=True)
class Use:
    """A place in a module, and what it uses there."""

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line} uses {self.what}"


@dataclass(frozen=True)
class KerasUse:
    """The first places in a module's files that use what only Keras 2 has, and what only Keras 3 has.

    plain: where they import keras itself, if they use neither tf.keras nor tf_keras.
    """

    only_2: Use | None = None
    only_3: Use | None = None
    plain: Use | None = None

    @property
    def version(self) -> int:
        """The Keras that the module means; 0 if nothing says it, or both are used."""
        if self.only_2 and self.only_3:
            return 0
        return 2 if self.only_2 else 3 if self.only_3 else 0


def decide(chosen: int | None, use: KerasUse, tunes: bool) -> tuple[int, str]:
    """Returns the Keras that a module's tasks get, 0 for the usual one, and a sentence on it; "" if all is as usual.

    chosen: what the configuration says. tunes: whether the module has a tuner_fn.
    """
    only_2, only_3 = use.only_2, use.only_3
    if chosen:
        other = only_2 if chosen == 3 else only_3
        return chosen, f"keras: {other}, which Keras {chosen} does not have" if other else ""
    if only_2 and only_3:
        sentence = f"{only_2}, which Keras 3 does not have, and {only_3}, which Keras 2 does not have"
        return 0, f"keras: {sentence}: expected keras: 2 or 3 in the configuration; it is 3 until then"
    if not only_2:
        return use.version, ""
    sentence = f"keras: 2, for {only_2}, which Keras 3 does not have (keras: 3 in the configuration decides otherwise)"
    if use.plain:
        sentence += f"; but {use.plain}, and that is Keras 3: write `from tensorflow import keras` there"
    if tunes:
        sentence += "; the Tuner keeps Keras 3, whose models are the only ones that KerasTuner builds"
    return 2, sentence


def of(paths: Iterable[Path]) -> KerasUse:
    """Returns what the files of a module use."""
    uses_2: list[Use] = []
    uses_3: list[Use] = []
    plain: list[Use] = []
    through_tensorflow = False
    for path in paths:
        tree = parsed.tree(path)
        names = DottedNames(tree)
        used = list(names.used())
        uses = [*_of_names(used, ONLY_2), *_of_packages(used), *_of_calls(tree, names), *_of_transform(tree)]
        uses_2 += (Use(path, line, what) for line, what in sorted(uses, key=_longest_first))
        uses_3 += (Use(path, line, what) for line, what in sorted(_of_names(used, ONLY_3), key=_longest_first))
        plain += (Use(path, line, "import keras") for name, line in used if name.partition(".")[0] == "keras")
        through_tensorflow |= any(_within(name, ("tensorflow.keras", "tf_keras")) for name, _ in used)
    return KerasUse(_first(uses_2), _first(uses_3), None if through_tensorflow else _first(plain))


def _longest_first(use: tuple[int, str]) -> tuple[int, int]:
    """Orders uses by their lines, and in a line a whole name before what it begins with."""
    line, what = use
    return line, -len(what)


def _first(uses: list[Use]) -> Use | None:
    return uses[0] if uses else None


def _within(name: str, roots: Iterable[str]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _of_names(used: Iterable[tuple[str, int]], only: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yields the names of Keras that are among `only`, or below one of them, with their lines."""
    for name, line in used:
        root = next((root for root in _ROOTS if name.startswith(f"{root}.")), None)
        if root and _within(name.removeprefix(f"{root}."), only):
            yield line, name.replace("tensorflow.", "tf.", 1)


def _of_packages(used: Iterable[tuple[str, int]]) -> Iterator[tuple[int, str]]:
    yield from ((line, name) for name, line in used if _within(name, _KERAS_2))


def _of_calls(tree: ast.Module, names: DottedNames) -> Iterator[tuple[int, str]]:
    """Yields calls that only Keras 2 takes: by their arguments, or since they write or read a SavedModel's folder."""
    values, makers = assigned(tree), Makers(tree, names)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        last, name = _last(node.func), makers.of(node.func)
        if name and not _within(name, (*_ROOTS, "tf_keras")):
            continue  # such as tf.saved_model.save, and the save of a tf.train.Checkpoint
        arguments = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
        if "save_format" in arguments and not _is_one_of(arguments["save_format"], _SAVE_FORMATS):
            yield node.lineno, f"{last}(save_format=…)"
        elif arguments.keys() & _ARGUMENTS.get(last, frozenset()):
            yield node.lineno, f"{last}({min(arguments.keys() & _ARGUMENTS[last])}=…)"
        elif "lr" in arguments and ".optimizers." in name:
            yield node.lineno, f"{last}(lr=…)"
        elif last in _METHODS:
            yield node.lineno, f"{last}()"
        elif last in _PLACES:
            index, keyword, folders = _PLACES[last]
            place = node.args[index] if len(node.args) > index else arguments.get(keyword)
            if place is not None and _is_folder(list(_inside(place, values)), folders):
                yield node.lineno, f"{last}() of a path without Keras's suffix"


def _is_one_of(node: ast.expr, values: Iterable[object]) -> bool:
    return isinstance(node, ast.Constant) and node.value in values


def _inside(place: ast.expr, values: dict[str, ast.expr], depth: int = 3) -> Iterator[ast.AST]:
    """Yields the nodes of an expression, and those of the values of its variables."""
    for node in ast.walk(place):
        yield node
        if depth and isinstance(node, ast.Name) and node.id in values:
            yield from _inside(values[node.id], values, depth - 1)


def _is_folder(inside: list[ast.AST], folders: Set[str]) -> bool:
    """Whether an expression is one of FnArgs' folders, or in one, and no file's suffix ends it."""
    if any(isinstance(node, ast.Constant) and _SUFFIX.search(str(node.value)) for node in inside):
        return False
    return any(isinstance(node, ast.Attribute) and node.attr in folders for node in inside)


def _of_transform(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields where a layer of TensorFlow Transform, which is Keras 2's, becomes a part of a model.

    One that a model only holds, and that is called in a signature (tf.function), does with Keras 3 as well.
    """
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        own = list(_scope(function))
        calls = [node for node in own if isinstance(node, ast.Call)]
        makers = {id(call) for call in calls if _last(call.func) in _LAYER_MAKERS}
        layers = {
            dotted_text(target)
            for node in own
            if isinstance(node, ast.Assign) and id(node.value) in makers
            for target in node.targets
        } - {None}
        if not makers or not any(_last(call.func) in _MODELS for call in calls):
            continue
        for call in calls:
            nodes = [node for argument in call.args for node in ast.walk(argument)]
            in_sequence = _last(call.func) == "Sequential" and any(
                id(node) in makers or dotted_text(node) in layers for node in nodes
            )
            if in_sequence or id(call.func) in makers or dotted_text(call.func) in layers:
                yield call.lineno, "a TransformFeaturesLayer in a model"


def _last(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _scope(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Yields the nodes of a function without those of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
