"""Configurations that nobody meant to write: each is read, or refused in a sentence."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from penstock.pipelines.config.training_pipeline import Config
from tests.fuzz.ends import assert_ends_well
from tests.servers.commands import Commands

SEEDS = range(200)
VALUES = [
    "null", "true", "maybe", "0", "-1", "1e400", ".nan", "-.inf", "99999999999999999999", "0x1F", "1_000", "010",
    "1:30",
    "2026-01-31", "2026-13-45", "''", "' '", "a b", "é", "日本", "'🐧'", r'"\ud800"', r'"\0"',
    r'"\e[31mred"', r'"a\nb"',
    "../..", "/", "/proc/self/mem", "/dev/null", "~nouser/x", "~", "x" * 300, "${HOME}", "{SPAN}", "*",
    "data[1].csv", "a/" * 200,
    "[]", "[1, 2]", "[[[[]]]]", "{}", "{a: 1}", "{1: 2}", "{? [a] : b}", "[null]", "['', '']", "!!bool maybe",
    "!!int x",
    "!!binary '%'", "!!set {a, b}", "!!python/object:os.system {}", "!thing x", "&a [*a]", "*missing",
    "!!timestamp x",
    "[" * 3000, "{a: " * 3000, "package:nothing/x", "package:", "s3://", "gs://b", "http://u:p@h/x", "'\"", "#",
    "|\n  x", ">",
]  # fmt: skip
BOMB = "\n".join(["x0: &x0 [lol, lol, lol]", *(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, 10))])


def base() -> dict[str, object]:
    return {
        "name": "small",
        "data": {"path": "data.csv", "csv": {"delimiter": ","}},
        "label": "label",
        "module_file": "module.py",
        "training": {"train_steps": 10, "eval_steps": 2},
        "evaluation": {"metrics": ["auc"], "slices": ["a"], "thresholds": {"auc": {"min": 0.5}}},
        "push": {"directory": "serving"},
    }


def with_a_value(chance: random.Random) -> str:
    """Some key, known or not, gets some value."""
    lines = yaml.safe_dump(base(), sort_keys=False).splitlines()
    index = chance.randrange(len(lines))
    key = lines[index].partition(":")[0]
    lines[index] = f"{key}: {chance.choice(VALUES)}"
    del lines[index + 1 : index + 1 + _children(lines, index)]
    return "\n".join(lines)


def _children(lines: list[str], index: int) -> int:
    indent = len(lines[index]) - len(lines[index].lstrip())
    rest = lines[index + 1 :]
    return next((i for i, line in enumerate(rest) if len(line) - len(line.lstrip()) <= indent), len(rest))


def with_a_section(chance: random.Random) -> str:
    """Some known section at the top gets some value."""
    section = chance.choice(sorted(Config.model_fields))
    values = {name: value for name, value in base().items() if name != section}
    return f"{yaml.safe_dump(values)}{section}: {chance.choice(VALUES)}\n"


def with_a_key(chance: random.Random) -> str:
    """Some place gets an unknown key, or one twice, or thousands."""
    keys = [f"k{i}: 1" for i in range(chance.choice([1, 2, 3000]))]
    key = chance.choice([*VALUES, "name", "data", "trainning"])
    return f"{yaml.safe_dump(base())}{key}: {chance.choice(VALUES)}\n" + "\n".join(keys)


def as_text(chance: random.Random) -> str | bytes:
    """Bytes are lost, doubled, changed, or of another encoding."""
    text = yaml.safe_dump(base(), sort_keys=False)
    content = bytearray(text.encode())
    match chance.randrange(8):
        case 0:
            return text.encode(chance.choice(["utf-16", "utf-32", "utf-8-sig"]))
        case 1:
            return text.replace("\n", "\r\n").replace("  ", "\t")
        case 2:
            return bytes(content[: chance.randrange(len(content))])
        case 3:
            return f"{BOMB}\n{text}"
        case 4:
            return text + "---\n" + text
        case 5:
            return bytes(chance.randrange(256) for _ in range(chance.choice([1, 300])))
        case 6:
            return "" if chance.random() < 0.5 else "# nothing\n"
        case _:
            for _ in range(chance.randrange(1, 6)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            return bytes(content)


KINDS: list[Callable[[random.Random], str | bytes]] = [with_a_value, with_a_section, with_a_key, as_text]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_configuration_is_read_or_refused(commands: Commands, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    (tmp_path / "data.csv").write_text("a,label\n1,0\n2,1\n")
    (tmp_path / "module.py").write_text(
        "def preprocessing_fn(inputs):\n    return inputs\n\n\ndef run_fn(fn_args):\n    pass\n"
    )
    content = KINDS[seed % len(KINDS)](chance)
    (tmp_path / "pipeline.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    overrides = ["--set", f"{chance.choice(['label', 'data.path', 'x', ''])}={chance.choice(VALUES)}"]
    command = chance.choice([["validate"], ["validate"], ["compile", "-o", "compiled.yaml"], ["runs"], ["explain"]])
    extra = overrides if command[0] in ("validate", "compile") and chance.random() < 0.3 else []
    assert_ends_well(commands.penstock(*command, *extra, cwd=tmp_path))


def link_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, link_loop, lambda path: path.symlink_to("/dev/zero"), lambda path: None]
)
def test_what_is_no_file_is_refused(commands: Commands, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "pipeline.yaml")
    ended = commands.penstock("validate", cwd=tmp_path)
    assert_ends_well(ended)
    assert ended.code == 2
