"""Whole files: replaced in one step, or left as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from cacheapp.engine.persistence.files import Files


def test_replace_and_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files = Files()
    files.replace(str(path), b"one")
    files.replace(str(path), b"two")
    assert files.read(str(path)) == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_crash_left_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, files = tmp_path / "file", Files()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", _fail)
        patched.setattr(Path, "unlink", lambda _self, **_options: None)
        with pytest.raises(OSError, match="crash"):
            files.replace(str(path), b"one")
    assert [name.name for name in tmp_path.iterdir()] != []
    files.replace(str(path), b"two")
    assert list(tmp_path.iterdir()) == [path]


def _fail(_self: Path, _target: Path) -> None:
    raise OSError("crash")


@pytest.mark.parametrize("step", ["write", "sync_directory"])
def test_an_error_is_raised_and_no_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path, files = tmp_path / "file", Files()
    files.replace(str(path), b"one")

    def fail(*_args: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(files, step, fail)
    with pytest.raises(OSError, match="full"):
        files.replace(str(path), b"two")
    assert path.read_bytes() == (b"one" if step == "write" else b"two")
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Files().read(str(tmp_path / "file"))
