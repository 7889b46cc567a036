"""The archive that is unpacked is the installed Django's, or there is a clear error."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import django
import pytest

from tests.upstream import sdist

WITNESS_TEXT = (Path(django.__file__).parents[1] / sdist.WITNESS).read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cached"
    monkeypatch.setattr(sdist, "CACHE_FOLDER", folder)
    return folder


def make_archive(folder: Path, version: str, witness: str = WITNESS_TEXT) -> Path:
    top = f"django-{version}"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.4\nName: Django\nVersion: {version}\n",
        sdist.WITNESS: witness,
        "tests/cache/tests.py": "A = 1\n",
        "tests/sessions_tests/tests.py": "B = 1\n",
        "tests/urls.py": "",
        "tests/admin_views/tests.py": "C = 1\n",
        "setup.py": "",
    }
    path = folder / f"{top}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_only_the_wanted_folders_are_unpacked(tmp_path: Path, cache_folder: Path) -> None:
    folder = sdist.unpacked_tests(make_archive(tmp_path, django.__version__))
    assert folder.is_relative_to(cache_folder)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.py")}
    assert found == {"cache/tests.py", "sessions_tests/tests.py", "urls.py"}
    assert list(cache_folder.iterdir()) == [cache_folder / f"django-{django.__version__}"]


def test_what_was_unpacked_once_is_used_again(tmp_path: Path) -> None:
    folder = sdist.unpacked_tests(make_archive(tmp_path, django.__version__))
    assert sdist.unpacked_tests(None) == folder
    assert sdist.unpacked_tests(make_archive(tmp_path, django.__version__)) == folder


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sdist.SdistError, match="the version that is installed"):
        sdist.unpacked_tests(make_archive(tmp_path, "1.0.1"))


def test_an_archive_that_differs_from_what_is_installed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sdist.SdistError, match="differs"):
        sdist.unpacked_tests(make_archive(tmp_path, django.__version__, witness="other"))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "django.tar.gz"
    path.write_text("not a tar file")
    with pytest.raises(sdist.SdistError, match="cannot be unpacked"):
        sdist.unpacked_tests(path)


def test_a_download_that_pip_cannot_do_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # An index of our own that has nothing.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(sdist.SdistError, match="--sdist"):
        sdist.unpacked_tests(None)
