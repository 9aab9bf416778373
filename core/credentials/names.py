"""Names that tell of a secret, such as dbPassword, and what looks like a secret under a name that may tell of one."""

import math
import re
from collections import Counter
from typing import Any

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
# These may be secrets: their values decide.
_DOUBTFUL = {
    *("auth", "authorization", "bearer", "cookie", "cookies", "cred", "creds", "dsn", "jwt", "key", "keys", "license"),
    *("pat", "sas", "session", "sessionid", "sig", "signature", "webhook"),
}
_HARMLESS_KEYS = {
    *("cache", "column", "crypto", "dict", "foreign", "group", "idempotency", "index", "join", "kms", "label", "map"),
    *("partition", "primary", "public", "row", "shard", "sort", "storage"),
}
# A value that names where the secret is: a placeholder, a variable, an entry of a secret store, a file; or a mask.
_REFERENCE = re.compile(
    r"\{\{.*\}\}|\{\w*\}|\$\{?\w+\}?|\$\(\w+\)|%\(\w+\)s|%s|<[^<>]*>|\*+[0-9a-f]*|…"
    r"|projects/[^/]+/secrets/.*|arn:aws:\S+|(vault|secret|sm)://?\S*|/\S*\.(json|pem|key|p12|txt)"
)
_HEADER = re.compile(r"(?i)(?:basic|bearer|token|apikey|digest|negotiate)\s+(\S+)")
_RUN = re.compile(r"[A-Za-z0-9+]{16,}")
_BITS = 3.0  # of a random text's characters, at least; those of hexadecimal digits have 4 at most


def is_secret(name: str, value: Any) -> bool:
    """Whether a value is a secret by its name: text that is not empty and is no reference; a password may be a number.

    Under a name that may tell of a secret, such as `signature`, text counts that looks as if drawn at random.

    >>> is_secret("dbPassword", "hunter2"), is_secret("token_column", "text"), is_secret("eos_token", "</s>")
    (True, False, False)
    """
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and words[-1] in _QUALIFIERS:
        words.pop()
    ending = next((end for end in _ENDINGS if tuple(words[-len(end) :]) == end), None)
    if ending is None and not (words and words[-1].endswith(_LONG_WORDS)):
        return isinstance(value, str) and _is_doubtful_secret(words, value)
    if ending and set(words[: -len(ending)][-1:]) & _HARMLESS.get(ending[-1], set()):
        return False
    if isinstance(value, str):
        return bool(value.strip()) and not is_reference(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and words[-1].endswith(_PASSWORDS)


def is_password(name: str) -> bool:
    """Whether a name tells of a password, which may be a number."""
    return is_secret(name, 0)


def is_reference(value: str) -> bool:
    """Whether a text only says where a secret is, or stands for one: `${DB_PASSWORD}`, `/etc/key.pem`, `***`."""
    return _REFERENCE.fullmatch(value.strip().strip("\"'")) is not None


def is_random(value: str) -> bool:
    """Whether a text looks as if drawn at random: a long run of letters and digits, of many different ones.

    Dotted names, paths, UUIDs and texts in a language have no such run.

    >>> is_random("Zk3vQ9xT7bLm2RwY"), is_random("serving_default"), is_random("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    (True, False, False)
    """
    text = value.strip()
    if re.search(r"\s", text) or is_reference(text):
        return False
    return any(_is_random_run(run) for run in _RUN.findall(text))


def _is_random_run(run: str) -> bool:
    digits = sum(character.isdigit() for character in run)
    counts = Counter(run).values()
    bits = -sum(count / len(run) * math.log2(count / len(run)) for count in counts)
    return 2 <= digits < len(run) and bits >= _BITS


def _is_doubtful_secret(words: list[str], value: str) -> bool:
    if not words or words[-1] not in _DOUBTFUL:
        return False
    if words[-1] in ("key", "keys") and set(words[:-1]) & _HARMLESS_KEYS:
        return False
    header = _HEADER.fullmatch(value.strip()) if words[-1] == "authorization" else None
    return not is_reference(header[1]) if header else is_random(value)
