"""Credentials inside texts by their shape: URLs with passwords, bearer tokens, the formats of known services' keys.

The formats are those that their services document, or that GitHub's secret scanning and gitleaks look for.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from penstock.core.credentials import names
from penstock.core.credentials.escapes import Plain


@dataclass(frozen=True)
class Credential:
    """A credential in a text: what it is, such as "a GitHub token", and where its secret part begins and ends."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class _Shape:
    """A shape: `pattern`, whose group `secret` is the secret part, in texts with one of `hints`, in small letters.

    Hints keep the search fast in what holds none. No pattern repeats anything without a limit.
    """

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    accepts: Callable[[str], bool] = lambda secret: True


def _known(kind: str, hints: str, pattern: str) -> _Shape:
    """Returns the shape of a key that a service gives, all of it secret, and with no letter or digit beside it."""
    return _Shape(kind, tuple(hints.split()), re.compile(rf"(?<![A-Za-z0-9])(?P<secret>{pattern})(?![A-Za-z0-9])"))


def _is_basic(secret: str) -> bool:
    """Whether this is the base64 of NAME:PASSWORD."""
    try:
        return ":" in base64.b64decode(secret + "=" * (-len(secret) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False


def _is_bearer(secret: str) -> bool:
    return not secret.isalpha() or len(secret) >= 20  # "bearer tokens" is English


def _is_no_group(secret: str) -> bool:
    """Whether this is no group of Linux's: to Docker, `--user` is NAME:GROUP."""
    return re.fullmatch(r"[a-z0-9_-]{1,32}", secret) is None


_SLASHES = r":(?:\\?/){2}"  # JSON may escape them
_URLS = (
    # Up to the last @ before the path; a password with a slash in it, which is wrong but common, up to the first.
    _Shape(
        "a password in a URL",
        ("@",),
        re.compile(rf"{_SLASHES}[^\s/?#:@'\"<>\\]{{0,256}}:(?P<secret>[^\s/?#'\"<>]{{1,512}})@"),
    ),
    _Shape(
        "a password in a URL",
        ("@",),
        re.compile(rf"{_SLASHES}(?!\[)[^\s/?#:@'\"<>\\]{{1,256}}:(?!\d{{1,5}}[/?#])(?P<secret>[^\s@'\"<>]{{1,512}})@"),
    ),
    # The user may be an address, or be of a Windows domain. `ssh://git@host:owner/repository@tag` has no password.
    _Shape(
        "a password in a URL",
        ("@",),
        re.compile(
            rf"{_SLASHES}(?:(?P<git>git)(?=@)|(?!git@)[^\s/?#:@'\"<>\\]{{1,256}})(?:@|\\{{1,2}}(?![nrt/]))"
            r"[^\s/?#:'\"<>\\]{1,256}:"
            r"(?!\d{1,5}[/?#,;])(?P<secret>[^\s/?#'\"<>]{1,512}|(?(git)(?!)|[^\s@'\"<>]{1,512}))@"
        ),
    ),
    # A container of Azure's storage stands before the @ as well.
    _Shape(
        "a token in a URL",
        ("@",),
        re.compile(rf"(?<!abfs)(?<!abfss)(?<!wasb)(?<!wasbs){_SLASHES}(?P<secret>[\w~.%-]{{16,512}})@"),
        names.is_random,
    ),
    # The form of Go's MySQL driver.
    _Shape(
        "a password in an address",
        ("@tcp(", "@unix("),
        re.compile(r"(?<![\w.-])[\w.-]{1,64}:(?P<secret>[^\s:@/'\"]{1,256})@(?:tcp|unix)\("),
    ),
)
_ORACLE = (
    _Shape(
        "a password in an address of Oracle's",
        ("jdbc:oracle:",),
        re.compile(r"(?i)jdbc:oracle:\w{1,16}:[^\s/@:'\"]{1,128}/\\?\"?(?P<secret>[^\s'\"\\]{1,256})\\?\"?@"),
    ),
    _Shape(
        "a password in an address of Oracle's",
        ("@",),
        re.compile(
            r"(?<![\w./@:~-])[\w$#]{1,64}(?:\[\w{1,64}\])?/\"?(?P<secret>[^\s/@'\":]{1,128})\"?@"
            r"(?://[\w\[]|[\w.-]{1,253}:(?:1[56]\d\d|248[34])[:/]\w)"
        ),
    ),
    _Shape(
        "a password of Oracle's tools",
        ("sqlplus", "sqlldr", "expdp", "impdp"),
        re.compile(
            r"(?i)\b(?:sqlplus|sqlldr|expdp|impdp)\s{1,4}(?:-\w{1,8}\s{1,4}){0,4}(?:userid=)?['\"]?"
            r"[\w$#]{1,64}/(?P<secret>[^\s/@'\"]{1,128})"
        ),
    ),
)
_SEPARATOR = r"(?:=|\s{1,4}|\\{0,4}['\"],\s{0,4})"
# Docker's 1000:1000 is none.
_OPTION_VALUE = (
    r"\\{0,4}(?!\d{1,9}:\d{1,9}\b)(?P<quote>['\"])?[^\s:'\"\\]{1,256}:(?!//)"
    r"(?P<secret>(?(quote)[^'\"\\\n]|(?:[^\s'\"\\]|\\(?![\"'\\]))){1,256})"
)
_COMMANDS = (
    _Shape(
        "a name and a password of a command",
        ("curl", "http"),
        re.compile(
            r"\b(?:curl|https?)(?=[\s'\"\\])(?:\\\n|(?!&&)[^\n;|]){0,512}?[\s'\"](?:-u(?=[A-Za-z])|"
            r"(?:-[A-Za-z]{0,8}[uUa]|--(?:user|proxy-user|auth))" + _SEPARATOR + r")" + _OPTION_VALUE
        ),
    ),
    _Shape(
        "a name and a password of a command",
        ("--user", "--proxy-user"),
        re.compile(r"(?<![\w-])--(?:proxy-)?user" + _SEPARATOR + _OPTION_VALUE),
        _is_no_group,
    ),
)
_HEADERS = (
    _Shape(
        "a bearer token",
        ("bearer",),
        re.compile(r"(?i)\bbearer(?:[ \t]{1,8}|%20|\+)(?P<secret>[A-Za-z0-9._~+/-]{6,4096}={0,2})"),
        _is_bearer,
    ),
    _Shape(
        "a name and a password in base64",
        ("basic",),
        re.compile(r"(?i)\bbasic(?:[ \t]{1,8}|%20|\+)(?P<secret>[A-Za-z0-9+/]{6,1024}={0,2})"),
        _is_basic,
    ),
    _Shape(
        "an Authorization header",
        ("authorization",),
        re.compile(
            r"(?i)authorization\\*[\"']?\s{0,8}[:=]\s{0,8}\\*[\"']?(?:basic|bearer|token|apikey|digest|negotiate)\s{1,8}"
            r"(?P<secret>[^\s\"'\\,;}]{2,4096})"
        ),
    ),
    _Shape(
        "a key in a header",
        ("-key", "-token"),
        re.compile(
            r"(?i)(?<![\w-])(?:x-)?(?:goog-|amz-)?(?:api-key|auth-token|access-token|security-token|vault-token)"
            r"\s{0,4}:\s{0,4}(?P<secret>[^\s\"',;]{4,4096})"
        ),
    ),
    _Shape(
        "a cookie",
        ("cookie:",),
        re.compile(r"(?i)\bcookie:[ \t]{0,4}(?P<secret>[^\s=;\"']{1,128}=[^\r\n\"']{4,4096})"),
    ),
    _Shape(
        "a password of .netrc",
        ("machine",),
        re.compile(r"\bmachine\s{1,8}\S{1,256}\s{1,8}login\s{1,8}\S{1,256}\s{1,8}password\s{1,8}(?P<secret>\S{1,256})"),
    ),
)
_FORMATS = (
    _Shape(
        "a private key",
        ("private key",),
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?P<secret>(?:(?!-----END)[\s\S]){1,16384})"
        ),
    ),
    _known("an AWS access key", "akia asia abia acca", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    _known("a Google API key", "aiza", r"AIza[\w-]{35}"),
    _known("a Google access token", "ya29.", r"ya29\.[\w-]{20,2048}"),
    _known("a Google refresh token", "1//0", r"1//0[\w-]{30,512}"),
    _known("a Google client secret", "gocspx-", r"GOCSPX-[\w-]{20,64}"),
    _known("an Azure client secret", "q~", r"[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}"),
    _Shape(
        "an Azure key",
        ("accountkey", "sharedaccesskey"),
        re.compile(r"(?i)(?:AccountKey|SharedAccessKey)\s{0,4}=\s{0,4}(?P<secret>[A-Za-z0-9+/%]{20,128}={0,2})"),
    ),
    _Shape(
        "an Azure key", ("==",), re.compile(r"(?<![A-Za-z0-9+/])(?P<secret>[A-Za-z0-9+/]{86}==)(?!=)"), names.is_random
    ),
    _known("a GitHub token", "gh", r"gh[opusr]_[A-Za-z0-9]{30,255}"),
    _known("a GitHub token", "github_pat_", r"github_pat_\w{22,255}"),
    _known("a GitLab token", "glpat-", r"glpat-[\w-]{20,64}"),
    _known("a Slack token", "xox", r"xox[abeoprs](?:\.xox[abeoprs])?-[\w-]{10,255}"),
    _known("a Slack token", "xapp-", r"xapp-[\w-]{10,255}"),
    _Shape(
        "a webhook",
        ("api/webhooks/",),
        re.compile(r"discord(?:app)?\.com/api/webhooks/\d{1,32}/(?P<secret>[\w-]{20,128})"),
    ),
    _Shape(
        "a Slack webhook",
        ("hooks.slack.com",),
        re.compile(r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>\w{1,32}/\w{1,32}/[\w/]{8,96})"),
    ),
    _known("a JSON Web Token", "eyj", r"eyJ[\w-]{8,2048}\.eyJ[\w-]{8,4096}\.[\w-]{0,2048}"),
    _Shape("an API key", ("sk-",), re.compile(r"(?<![\w-])(?P<secret>sk-[\w-]{20,256})"), names.is_random),
    _known("a Stripe key", "k_", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}"),
    _known("a Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{30,64}"),
    _known("an npm token", "npm_", r"npm_[A-Za-z0-9]{36}"),
    _known("a PyPI token", "pypi-", r"pypi-AgE[\w-]{40,512}"),
    _known("a Docker token", "dckr_", r"dckr_(?:pat|oat)_[\w-]{20,64}"),
    _known("a Databricks token", "dapi", r"dapi[0-9a-f]{32}(?:-\d)?"),
    _known("a DigitalOcean token", "_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    _known("a SendGrid key", "sg.", r"SG\.[\w-]{16,32}\.[\w-]{32,64}"),
    _known("a Vault token", "hv", r"hv[sbr]\.[\w-]{20,512}"),
)
_SHAPES = (*_URLS, *_ORACLE, *_COMMANDS, *_HEADERS, *_FORMATS)
_MOST_ESCAPES = 3  # of one character, as in %25253D

_NOTHING = ("None", "null", "true", "false", "True", "False")
_TELLING = ("pass", "pwd", "secret", "token", "credential", "key", "sig", "auth", "cookie", "session", "dsn", "jwt")
_QUOTED = r"\\{0,8}\"(?P<double>[^\"\\]{0,4096})|\\{0,8}'(?P<single>[^'\\]{0,4096})"
_REFERENCES = r"\$?\{\w{0,64}\}|\{\{[^{}]{0,256}\}\}|\$\(\w{0,64}\)|<\w{0,64}>"
_BARE = rf"(?:{_REFERENCES}|[^\s,;&\"'\\{{}}\[\]()<>|]{{1,4096}})"
# name=value, as in a query, a DSN of key words, a command or Python; password = value, as libpq lets one write it. The
# value may hold another one: to=/x?password=value.
_ASSIGNED = re.compile(
    rf"(?<![\w.-])-{{0,2}}(?P<name>[A-Za-z_][\w.-]{{0,80}})(?P<space>[ \t]{{0,4}})=[ \t]{{0,4}}"
    rf"(?={_QUOTED}|(?P<bare>{_BARE}))"
)
# "name": value, as in JSON and Python, also escaped; {name: value}, as in YAML, where {secret: NAME} names a Secret.
_MAPPED = re.compile(
    rf"(?:\\{{0,8}}[\"'](?P<quoted>[A-Za-z_][\w.-]{{0,80}})\\{{0,8}}[\"']|[{{,]\s{{0,8}}(?!secrets?\b)(?P<plain>[A-Za-z_][\w.-]{{0,80}}))"
    rf"[ \t]{{0,4}}:\s{{0,8}}(?:{_QUOTED}|(?P<bare>{_BARE}))"
)
# --password value, as a command takes it.
_OPTION = re.compile(rf"(?<![\w-])--(?P<name>[A-Za-z][\w-]{{0,80}})[ \t]{{1,4}}(?:{_QUOTED}|(?P<bare>(?!-){_BARE}))")


def credentials(text: str) -> Iterator[Credential]:
    """Yields the credentials of known shapes in a text, those of one shape after those of another; also escaped ones,
    as in a URL inside a query."""
    yield from _also_escaped(text, _credentials)


def assignments(text: str) -> Iterator[Credential]:
    """Yields the secrets that stand beside a telling name in a text: `password=…`, `"api_key": "…"`; also escaped ones.

    In source code such a value may be a variable.
    """
    yield from _also_escaped(text, _assignments)


def _also_escaped(
    text: str, search: Callable[[str], Iterator[Credential]], escapes: int = _MOST_ESCAPES
) -> Iterator[Credential]:
    yield from search(text)
    plain = Plain.of(text) if escapes else None
    if plain:
        for credential in _also_escaped(plain.text, search, escapes - 1):
            yield Credential(credential.kind, plain.escaped(credential.start), plain.escaped(credential.end))


def _credentials(text: str) -> Iterator[Credential]:
    lowered = text.lower()
    for shape in _SHAPES:
        if not any(hint in lowered for hint in shape.hints):
            continue
        for match in shape.pattern.finditer(text):
            secret = match["secret"]
            if not names.is_reference(secret) and shape.accepts(secret):
                yield Credential(shape.kind, *match.span("secret"))


def _assignments(text: str) -> Iterator[Credential]:
    lowered = text.lower()
    if not any(hint in lowered for hint in _TELLING):
        return
    for pattern in (_ASSIGNED, _MAPPED, _OPTION):
        for match in pattern.finditer(text):
            groups = match.groupdict()
            name = groups.get("name") or groups.get("quoted") or groups.get("plain") or ""
            part = next(part for part in ("double", "single", "bare") if groups[part] is not None)
            value = groups[part]
            if part == "bare" and (value in _NOTHING or not (names.is_password(name) or _is_bare(match, value))):
                continue
            if names.is_secret(name, value):
                yield Credential(f"a secret beside the name {name}", *match.span(part))


def _is_bare(match: re.Match[str], value: str) -> bool:
    """Whether text without quotes is a secret, not an expression, as in `token = next()`, or a number: `{token: 5}`."""
    if match.groupdict().get("space"):
        return names.is_random(value)
    return match.re is not _MAPPED or not value.replace(".", "").isdecimal()
