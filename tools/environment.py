"""The virtual environment in `.venv`: made on first use, renewed when its sources change.

Standard library only, and few imports: this runs before anything is installed, and each time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "3rdparty" / "python" / "requirements.lock"
STAMP = VENV / "tiercel-dev.stamp"

Arguments: TypeAlias = "list[Path | str]"


class SetupError(Exception):
    """The environment cannot be made; the message says what to do, in one line."""


def distributions() -> list[Path]:
    """Return the folder of every distribution in `packages`, the core first."""
    plugins = sorted(path.parent for path in ROOT.glob("packages/*/*/pyproject.toml"))
    return [ROOT / "packages" / "core", *plugins]


def ensure() -> Path:
    """Return the environment's Python, having made or renewed the environment if need be.

    Raises:
        SetupError: Something that only the user can install is missing.
    """
    if not _is_current():
        _renew()
    return PYTHON


def variables() -> dict[str, str]:
    """Return the process's environment variables as if `.venv` were activated."""
    path = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    return {
        **kept,
        "PATH": path,
        "VIRTUAL_ENV": str(VENV),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",  # the lock decides its version
    }


def _is_current() -> bool:
    try:
        return PYTHON.exists() and STAMP.read_text(encoding="utf-8") == _fingerprint()
    except FileNotFoundError:
        return False


def _fingerprint() -> str:
    """Hash everything that decides what `.venv` must hold."""
    from hashlib import sha256

    digest = sha256(str(ROOT).encode())
    sources = [VENV / "pyvenv.cfg", LOCK, *(path / "pyproject.toml" for path in distributions())]
    for source in sources:
        digest.update(b"\0%s\0%s" % (bytes(source.relative_to(ROOT)), source.read_bytes()))
    return digest.hexdigest()


def _renew() -> None:
    import fcntl
    import time

    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_current():  # another process did it while this one waited
            return
        print("dev: setting up .venv (a minute at most, and only now)", file=sys.stderr)
        start = time.perf_counter()
        _make_venv()
        _install()
        STAMP.write_text(_fingerprint())
        print(f"dev: .venv is ready ({time.perf_counter() - start:.0f} s)", file=sys.stderr)


def _make_venv() -> None:
    from importlib.util import find_spec

    if PYTHON.exists() and _lies_where_made() and _run([PYTHON, "-m", "pip", "--version"]):
        return
    if find_spec("venv") is None or find_spec("ensurepip") is None:
        package = "python{}.{}-venv".format(*sys.version_info)
        raise SetupError(f"Python's venv module is missing here; run: sudo apt install {package}")
    if not _run([sys.executable, "-m", "venv", "--clear", VENV]):
        raise SetupError(f"could not make {VENV}; the lines above say why")


def _lies_where_made() -> bool:
    """Tell whether the scripts in `.venv` still name the right interpreter."""
    return f"{VENV}\n" in (VENV / "pyvenv.cfg").read_text(encoding="utf-8")


def _install() -> None:
    pip: Arguments = [PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    uv: Arguments = [VENV / "bin" / "uv", "pip", "install", "--quiet", "--python", str(PYTHON)]
    uv_pin, other_pins = _split_lock()
    if _run([*pip, *_pinned(uv_pin)]):
        env = uv_variables()
        if _run([*uv, *_pinned(LOCK)], env) and _run([*uv, *_editable()], env):
            return
    print("dev: uv did not do it; trying pip, which takes longer", file=sys.stderr)
    if not _run([*pip, *_pinned(other_pins)]) or not _run([*pip, *_editable()]):
        raise SetupError("could not install the locked requirements; the lines above say why")


def _pinned(requirements: Path) -> list[str]:
    return ["--require-hashes", "--requirement", str(requirements)]


def _editable() -> list[str]:
    ours = [part for path in distributions() for part in ("--editable", str(path))]
    return ["--no-deps", "--no-build-isolation", *ours]


def _split_lock() -> tuple[Path, Path]:
    """Write uv's pin and all others to files of their own, and return those."""
    import re

    pins = re.split(r"\n(?=\w)", LOCK.read_text(encoding="utf-8"))
    uv_pin, other_pins = VENV / "uv-pin.txt", VENV / "other-pins.txt"
    uv_pin.write_text("\n".join(pin for pin in pins if pin.startswith("uv==")))
    other_pins.write_text("\n".join(pin for pin in pins if not pin.startswith("uv==")))
    return uv_pin, other_pins


def uv_variables() -> dict[str, str]:
    """Return the variables that make uv use the package index and certificates pip uses."""
    from subprocess import run

    listed = run(
        [PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    options: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        options[name.rpartition(".")[2]] = value.strip("'\"")
    translated = {"UV_DEFAULT_INDEX": "index-url", "SSL_CERT_FILE": "cert"}
    found = {to: options[name] for to, name in translated.items() if options.get(name)}
    fixed = {"UV_SYSTEM_CERTS": "1", "UV_PYTHON_DOWNLOADS": "never"}
    return {**variables(), **fixed, **found}


def _run(command: Arguments, env: dict[str, str] | None = None) -> bool:
    from subprocess import DEVNULL, call

    return call(command, stdin=DEVNULL, stdout=DEVNULL, env=env, cwd=ROOT) == 0
