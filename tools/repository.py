"""Rules that hold for the files of this repository and that no off-the-shelf tool checks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.environment import LOCK, ROOT
from tools.packages import read_distributions

MAX_LINES = 400
INDEX_HOST = r"\b(?:pypi|pythonhosted|npmjs)\.(?:org|com)\b"
MACHINE_PATH = r"(?<![\w.~}])/(?:root|work|home/\w+|Users/\w+)/"
FOREIGN = re.compile(f"{INDEX_HOST}|{MACHINE_PATH}")


def tracked_files() -> list[Path]:
    """Return every file that is committed, or would be by `git add --all`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return sorted(path for path in set(paths) if path.is_file())


def modules_short() -> list[str]:
    """Return a line for each Python file that is longer than a module may be."""
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in tracked_files()
        if path.suffix == ".py" or path.name == "dev"
    }
    return [
        f"{path.relative_to(ROOT)}: {length} lines, at most {MAX_LINES}: split it"
        for path, length in lengths.items()
        if length > MAX_LINES
    ]


def files_clean() -> list[str]:
    """Return a line for each place that names a package index or a path of one machine."""
    return [
        f"{path.relative_to(ROOT)}:{number}: names {match.group()!r}, which is not everybody's"
        for path in tracked_files()
        for number, line in enumerate(_lines(path), start=1)
        if (match := FOREIGN.search(line))
    ]


def dependencies_locked() -> list[str]:
    """Return a line for each dependency that the list or the lock does not cover."""
    listed = {requirement.name for requirement in _requirements(LOCK.with_suffix(".txt"))}
    pins = {requirement.name: requirement for requirement in _requirements(LOCK)}
    problems = [f"{name} is not in {LOCK.name}: run ./dev lock" for name in listed - pins.keys()]
    for path, requirement in third_party():
        where = path.relative_to(ROOT)
        if requirement.name not in listed:
            problems.append(f"{where}: {requirement.name} is not in {LOCK.stem}.txt: add it")
        elif requirement.name in pins and not _allows(requirement, pins[requirement.name]):
            problems.append(f"{where}: {requirement} does not allow the locked version")
    return sorted(problems)


def third_party() -> Iterator[tuple[Path, Requirement]]:
    """Yield each pyproject.toml with each of its requirements that is not one of ours."""
    ours = {distribution.name for distribution in read_distributions()}
    for path, document in read_distributions():
        project = document["project"]
        extras = project.get("optional-dependencies", {}).values()
        groups = [document["build-system"]["requires"], project.get("dependencies", []), *extras]
        for line in (line for group in groups for line in group):
            requirement = _parse(line)
            if requirement.name not in ours:
                yield path / "pyproject.toml", requirement


def _allows(requirement: Requirement, pin: Requirement) -> bool:
    version = next(iter(pin.specifier)).version
    return requirement.specifier.contains(version, prereleases=True)


def _requirements(path: Path) -> Iterator[Requirement]:
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].rstrip(" \\")
        if text and not text.startswith(" "):
            yield _parse(text)


def _parse(text: str) -> Requirement:
    requirement = Requirement(text)
    requirement.name = canonicalize_name(requirement.name)
    return requirement


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:  # a picture or an archive names nothing
        return []
