"""Secrets in plain text, by their names: a compiled pipeline is read by all who see its runs."""

import json
import re
from collections.abc import Iterator
from typing import Any

from penstock.pipelines.lint.pipeline import Pipeline
from penstock.pipelines.lint.rule import rule

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+(?:[0-9]+[a-z]+)*")
_PASSWORDS = ("password", "passwords", "passwd", "pwd", "passphrase", "passcode")
# A secret's name ends in one of these, so that what only refers to one or counts them, token_column, secret_name,
# credentials_file, token_env, max_tokens, is none.
_ENDINGS = (
    *((word,) for word in _PASSWORDS),
    ("secret",),
    ("secrets",),
    ("token",),
    ("credential",),
    ("credentials",),
    ("apikey",),
    ("api", "key"),
    ("access", "key"),
    ("access", "key", "id"),
    ("secret", "key"),
    ("private", "key"),
    ("account", "key"),
    ("auth", "key"),
    ("signing", "key"),
)
# Names without a separator: dbpassword, authtoken.
_LONG_WORDS = ("password", "passwd", "passphrase", "apikey", "accesskey", "secretkey", "privatekey", "authtoken")
# What may follow without making another thing of it: password_prod, token_value, apiKey2.
_QUALIFIERS = {"value", "text", "string", "plain", "raw", "v", "prod", "production", "dev", "staging", "test"}
# Tokens of a vocabulary or of a listing, and Secrets of Kubernetes by their names.
_HARMLESS = {
    "token": {
        *("begin", "bos", "blank", "cls", "delimiter", "end", "eos", "eot", "mask", "oov", "pad", "padding", "prefix"),
        *("sep", "separator", "special", "start", "stop", "suffix", "unk", "unknown"),
        *("continuation", "next", "page"),
    },
    "secret": {"k8s", "kubernetes", "pull"},
    "secrets": {"k8s", "kubernetes", "pull"},
}
# A value that names where the secret is: a placeholder, a variable, an entry of a secret store, a file.
_REFERENCE = re.compile(
    r"\{\{\$.*\}\}|\$\{?\w+\}?|projects/[^/]+/secrets/.*|arn:aws:\S+|(vault|secret|sm)://?\S*|/\S*\.(json|pem|key|p12|txt)"
)


@rule("plain-secret")
def plain_secret(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """A password, token or key in a parameter, inside one that is JSON, or in an environment variable."""
    for constant in pipeline.constants():
        for path, name, value in _leaves(constant.name, constant.name, constant.value):
            if is_secret(name, value):
                place = constant.place.removesuffix(constant.name) + path
                yield (
                    path,
                    f"{place}: a secret in plain text is there for all who see the pipeline: take it from a Secret's "
                    "env, or name only where it is",
                )


def is_secret(name: str, value: Any) -> bool:
    """Whether a value is a secret by its name: text that is not empty and is no reference; a password may be a number.

    >>> is_secret("dbPassword", "hunter2"), is_secret("token_column", "text"), is_secret("eos_token", "</s>")
    (True, False, False)
    """
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and words[-1] in _QUALIFIERS:
        words.pop()
    ending = next((end for end in _ENDINGS if tuple(words[-len(end) :]) == end), None)
    if ending is None and not (words and words[-1].endswith(_LONG_WORDS)):
        return False
    if ending and set(words[: -len(ending)][-1:]) & _HARMLESS.get(ending[-1], set()):
        return False
    if isinstance(value, str):
        return bool(value.strip()) and not _REFERENCE.fullmatch(value.strip())
    return isinstance(value, int | float) and not isinstance(value, bool) and words[-1].endswith(_PASSWORDS)


def _leaves(path: str, name: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    """Yields the dotted path, the last name in it and the value of each part of a constant, also of JSON in a text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except ValueError:
            pass
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{path}.{key}", str(key), part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(path, name, part)
    else:
        yield path, name, value


RULES = (plain_secret,)
