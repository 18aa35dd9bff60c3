"""Paths as users write them."""

from verl_env.places import from_here


def test_a_path_is_written_as_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_here(tmp_path / "a" / "b") == "a/b"
    assert from_here("/elsewhere/env") == "/elsewhere/env"
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert from_here("/elsewhere/env") == "/elsewhere/env"
