"""Checks built distributions: what is inside, and how they fare installed without sources.

Usage: `./dev run python -m tools.wheels dist`
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.environment import LOCK, ROOT, VENV, uv_variables
from tools.packages import Distribution, read_distributions

EXAMPLE = ROOT / "examples" / "third_party_dispatcher"
META = {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}


def main(folder: Path) -> int:
    """Check every wheel and sdist in `folder`; return 1 if anything is wrong."""
    distributions = read_distributions()
    problems = [text for found in distributions for text in _contents(found, folder)]
    for problem in problems:
        print(problem)
    if problems:
        return 1
    print(f"contents of {len(distributions)} wheels and sdists: ok", flush=True)
    core, *plugins = distributions
    combinations = [[core], *([core, plugin] for plugin in plugins)]
    if len(plugins) > 1:
        combinations.append(distributions)
    passed = [_try_installed(combination, folder) for combination in combinations]
    passed.append(_try_example(core, folder))
    return 0 if all(passed) else 1


def _contents(distribution: Distribution, folder: Path) -> list[str]:
    stem = f"{distribution.module}-{distribution.project['version']}"
    wheel, sdist = folder / f"{stem}-py3-none-any.whl", folder / f"{stem}.tar.gz"
    if absent := [path.name for path in (wheel, sdist) if not path.is_file()]:
        return [f"{folder}: {name} was not built" for name in absent]
    with zipfile.ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(sdist) as archive:
        unpacked = {name.removeprefix(f"{stem}/") for name in archive.getnames()}
    module = {f"{distribution.module}/{name}" for name in _sources(distribution)}
    info = {name for name in packed if name.startswith(f"{stem}.dist-info/")}
    problems = [
        *_differences(wheel, set(packed) - info, module),
        *_differences(sdist, unpacked, META | {f"src/{name}" for name in module}),
    ]
    return problems or _rebuilt(sdist, packed)


def _sources(distribution: Distribution) -> set[str]:
    """Return what the import package must hold: all its files but what Python leaves behind."""
    files = (path for path in distribution.source.rglob("*") if path.is_file())
    return {
        path.relative_to(distribution.source).as_posix()
        for path in files
        if "__pycache__" not in path.parts
    }


def _differences(archive: Path, found: set[str], expected: set[str]) -> list[str]:
    return [
        *(f"{archive.name}: {name} is missing" for name in sorted(expected - found)),
        *(f"{archive.name}: {name} does not belong in it" for name in sorted(found - expected)),
    ]


def _rebuilt(sdist: Path, packed: dict[str, bytes]) -> list[str]:
    """Build a wheel from the sdist, as a packager would, and compare it with the one there is."""
    with tempfile.TemporaryDirectory() as folder:
        _uv("build", "--wheel", "--no-build-isolation", "--out-dir", folder, str(sdist))
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            same = packed == {name: archive.read(name) for name in archive.namelist()}
    return [] if same else [f"{sdist.name}: the wheel built from it differs from the one in dist"]


def _try_installed(distributions: list[Distribution], folder: Path) -> bool:
    """Install the wheels of `distributions` alone and run `tests/installed` against them."""
    names = " ".join(distribution.name for distribution in distributions)
    wheels = [str(next(folder.glob(f"{found.module}-*.whl"))) for found in distributions]
    with _reported(f"only {names.replace(' ', ' + ')}") as report, _installed(wheels) as python:
        env = {**os.environ, "TIERCEL_PYTHON": str(python), "TIERCEL_DISTRIBUTIONS": names}
        return report(_pytest(sys.executable, ROOT, "tests/installed", env=env))


def _try_example(core: Distribution, folder: Path) -> bool:
    """Build the dispatcher by somebody else, install it beside the core alone, run its tests."""
    with tempfile.TemporaryDirectory() as built, _reported("a plugin by somebody else") as report:
        _uv("build", "--wheel", "--no-build-isolation", "--out-dir", built, str(EXAMPLE))
        (wheel,) = Path(built).glob("*.whl")
        own = next(folder.glob(f"{core.module}-*.whl"))
        with _installed([f"{core.name}[testing] @ {own.as_uri()}", f"{wheel}[testing]"]) as python:
            options = ("-p", "no:cacheprovider", "tests")
            return report(_pytest(str(python), EXAMPLE, *options, env=dict(os.environ)))


@contextmanager
def _installed(requirements: list[str]) -> Iterator[Path]:
    """Yield the Python of an environment that has these wheels and what they need, no more."""
    with tempfile.TemporaryDirectory() as venv:
        python = Path(venv, "bin", "python")
        _uv("venv", "--clear", "--python", sys.executable, venv)
        _uv("pip", "install", "--python", str(python), "--constraint", str(LOCK), *requirements)
        yield python


@contextmanager
def _reported(what: str) -> Iterator[Callable[[bool], bool]]:
    """Yield a function that prints how something ended and how long it took."""
    start = time.perf_counter()

    def report(passed: bool) -> bool:
        seconds = time.perf_counter() - start
        print(f"{what}: {'ok' if passed else 'failed'} ({seconds:.0f} s)", flush=True)
        return passed

    yield report


def _pytest(python: str, folder: Path, *arguments: str, env: dict[str, str]) -> bool:
    command = [python, "-m", "pytest", "--quiet", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def _uv(*arguments: str) -> None:
    command = [str(VENV / "bin" / "uv"), "--quiet", *arguments]
    subprocess.run(command, cwd=ROOT, env=uv_variables(), stdin=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
