"""The test files of the installed Django, out of its source distribution.

pip chooses the index, checks the archive's hash and keeps to the user's configuration, so it is
pip that fetches. It must prepare the metadata of what it downloads, which takes a few seconds
once; the archive and the few folders that we need of it stay in `var/upstream`.
Left out on purpose: every other version than the installed one, whose tests would test that one.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

CACHE_FOLDER = Path(__file__).parents[2] / "var" / "upstream"
WANTED = ("tests/cache/", "tests/sessions_tests/", "tests/urls.py")
# One file in both is compared: a distributor's Django can differ from its version's archive.
WITNESS = "django/core/cache/backends/base.py"
PIP_TIMEOUT_S = 300


class SdistError(RuntimeError):
    """Django's archive cannot be had, or is not the installed version's; the text says why."""


def unpacked_tests(archive: Path | None) -> Path:
    """The folder to import `cache.tests` and `sessions_tests.tests` from, unpacked if need be.

    `archive` is a Django source distribution on disk; None looks in the cache folder and then
    asks pip. Raises SdistError when there is none, or when its version is not the installed one.
    """
    version = django.__version__
    unpacked = CACHE_FOLDER / f"django-{version}"
    if archive is None and unpacked.is_dir():
        return unpacked / "tests"
    CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    _unpack(archive or _downloaded(version), version, unpacked)
    return unpacked / "tests"


def _downloaded(version: str) -> Path:
    found = _archive_in(CACHE_FOLDER, version)
    if found is not None:
        return found
    with tempfile.TemporaryDirectory(dir=CACHE_FOLDER) as folder:
        _download(version, Path(folder))
        fetched = _archive_in(Path(folder), version)
        if fetched is None:
            raise SdistError(f"pip downloaded no source distribution of Django {version}")
        return fetched.replace(CACHE_FOLDER / fetched.name)


def _archive_in(folder: Path, version: str) -> Path | None:
    # PEP 625 names are lower case; archives made before it are not.
    names = (f"django-{version}.tar.gz", f"Django-{version}.tar.gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _download(version: str, folder: Path) -> None:
    # --no-binary names Django alone: setuptools, which its metadata needs, may come as a wheel.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", "django", "--dest", str(folder), f"django=={version}"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SdistError(f"pip did not fetch Django {version} in {PIP_TIMEOUT_S} s") from None
    if done.returncode != 0:
        raise SdistError(
            f"pip could not fetch the source distribution of Django {version}; download it "
            f"by hand and name it with --sdist. pip said:\n{done.stderr[-2000:]}"
        )


def _unpack(archive: Path, version: str, target: Path) -> None:
    try:
        with tarfile.open(archive) as opened:
            _check(opened, archive, version)
            members = [member for member in opened if _wanted(member.name)]
            with tempfile.TemporaryDirectory(dir=CACHE_FOLDER) as folder:
                opened.extractall(folder, members=members, filter="data")
                (top,) = Path(folder).iterdir()
                _put(top, target)
    except (OSError, tarfile.TarError) as error:
        raise SdistError(f"{archive} cannot be unpacked: {error}") from error


def _put(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError:
        # Another run (a matrix has several) put the same files there first.
        if not target.is_dir():
            raise


def _wanted(name: str) -> bool:
    inside = name.partition("/")[2]
    return any(inside == wanted.rstrip("/") or inside.startswith(wanted) for wanted in WANTED)


def _check(opened: tarfile.TarFile, archive: Path, version: str) -> None:
    top = opened.getnames()[0].partition("/")[0]
    lines = _text(opened, f"{top}/PKG-INFO").splitlines()
    if f"Version: {version}" not in lines:
        raise SdistError(f"{archive} is not Django {version}, the version that is installed")
    installed = (Path(django.__file__).parents[1] / WITNESS).read_text(encoding="utf-8")
    if _text(opened, f"{top}/{WITNESS}") != installed:
        raise SdistError(f"the installed {WITNESS} differs from that of {archive}")


def _text(opened: tarfile.TarFile, name: str) -> str:
    try:
        member = opened.extractfile(name)
    except KeyError:
        member = None
    if member is None:
        raise SdistError(f"no {name} in it: this is not a Django source distribution")
    return member.read().decode("utf-8")
