"""Configurations and compiled pipelines with something wrong in them, many of each: one sentence and exit code 2."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock.core.files.yaml_documents import Location
from penstock.pipelines.cli import main

WITHOUT_CODE: dict[str, Any] = {
    "data": {"path": "data.csv", "csv": {"delimiter": ",", "null_values": ["NA"], "encoding": "utf-8"}},
    "label": "label",
    "features": {"a": {"kind": "numeric", "bins": 8, "transform": "quantiles"}},
    "splits": {"hash_buckets": {"train": 2, "eval": 1}, "partition_feature": "a"},
    "training": {"epochs": 3, "batch_size": 4, "learning_rate": 0.1, "class_weight": 0.5, "seed": 1},
    "tuning": {"trials": 3},
    "evaluation": {
        "metrics": ["auc", {"class_name": "AUC", "config": {"name": "x"}}],
        "thresholds": {"auc": {"min": 0}},
    },
    "resources": {"default": {"cpu": 1, "memory": "1G"}, "trainer": {"accelerator": {"type": "T4"}}},
    "kubernetes": {"default": {"tolerations": [{"key": "a"}], "volumes": [{"claim": "c", "mount": "/m"}]}},
    "vertex": {"project": "p", "pipeline_root": "gs://bucket/runs"},
    "engine": "local:2",
}
TEXTS = (
    *(
        "",
        "x",
        "x" * 300,
        "~nouser/x",
        "../..",
        "/",
        "/proc/1/mem",
        "\x1b[31m",
        "a\nb",
        "\u202e",
        "gs://",
        "package:x/y",
    ),
    *(
        "package:tfx/",
        "file:///x",
        "{SPAN}",
        "*",
        "[",
        "%",
        "{{x}}",
        "é" * 200,
        "2026-01-31",
        "1e5",
        "a:b",
        "٣",
        "\ufeff",
    ),
    *("local:99999999999999999999", '{"filesystem": 1}', '{{$.inputs.parameters["x"]}}'),
)
NUMBERS = (0, -1, 1.5, float("nan"), float("inf"), 2**31, 2**53, 2**63, 10**30)
OTHERS: tuple[Any, ...] = (None, True, [], {}, [None], [[]], {"a": None}, {"": 1}, {"a": {"b": [1]}}, ["x"] * 50)
MARKS = ("\0", "\x1b", "\t", "{", "[", "&a ", "*a ", "!!bool x ", "%", '"', ": ", "\n---\n", "? ", "|", "\ud800")


def paths(value: Any, path: Location = ()) -> Iterator[Location]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*path, key))


def damaged(value: Any, chance: random.Random) -> Any:
    """Returns a copy in which something is another thing, has another name, or is gone."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice([1, 1, 2, 3])):
        *above, last = chance.choice([path for path in paths(value) if path] or [("",)])
        part = value
        for key in above:
            part = part[key]
        if not isinstance(part, dict | list) or last == "":
            continue
        how = chance.random()
        if how < 0.7:
            part[last] = copy.deepcopy(chance.choice([*TEXTS, *NUMBERS, *OTHERS]))
        elif how < 0.85 and isinstance(part, dict):
            part[chance.choice(TEXTS)] = part.pop(last)
        else:
            del part[last]
    return value


def written(documents: list[Any], chance: random.Random) -> str:
    """Returns the documents as YAML, now and then with a mark in it that means another thing."""
    text: str = yaml.safe_dump_all(documents, allow_unicode=True)
    if chance.random() < 0.1:
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice(MARKS) + text[place:]
    return text


def require_a_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = main.main(arguments), capsys.readouterr().err
    assert code in (0, 2), shown
    assert "Traceback" not in shown
    assert len(shown) < 12_000
    assert not any(ord(character) < 32 and character != "\n" for character in shown)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_damaged_configurations(
    project: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    """As they are read; every tenth is compiled too."""
    chance, path = random.Random(seed), project / "pipeline.yaml"
    for number in range(50):
        text = written([damaged(chance.choice([values, WITHOUT_CODE]), chance)], chance)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        command = (
            ["compile", "-o", str(project / "c.yaml"), "--target", "kubeflow"] if number % 10 == 0 else ["validate"]
        )
        require_a_sentence([*command, str(path)], capsys)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["kubeflow", "vertex"])
def test_damaged_compiled_pipelines(config: Path, capsys: pytest.CaptureFixture[str], target: str) -> None:
    """As they are checked, and as they are submitted to a Kubeflow server that is not there."""
    path, chance = config.parent / "compiled.yaml", random.Random(7)
    assert main.main(["compile", str(config), "--target", target, "-o", str(path)]) == 0
    capsys.readouterr()
    documents = list(yaml.safe_load_all(path.read_text()))
    for number in range(30):
        text = written([damaged(document, chance) for document in documents], chance)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        is_sent = target == "kubeflow" and number % 3 == 0
        command = ["submit", "--no-cache", "--host", "http://127.0.0.1:9"] if is_sent else ["lint", "--target", target]
        require_a_sentence([*command, str(path)], capsys)
