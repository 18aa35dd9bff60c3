from pathlib import Path

from verl_env.installers import requirements
from verl_env.locksets.model import Package

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
URL = "https://example.org/direct-2.0-py3-none-any.whl"
PACKAGES = [Package("demo", "1.0", (A, B)), Package("direct", "2.0", (A,), "url", URL)]


def test_packages_are_pinned_with_every_hash(tmp_path):
    requirements.write_locked(tmp_path / "r", PACKAGES, offline=False)
    assert (tmp_path / "r").read_text() == (
        f"--only-binary demo\ndemo==1.0 \\\n    --hash={A} \\\n    --hash={B}\ndirect @ {URL} \\\n    --hash={A}\n"
    )


def test_offline_a_wheelhouse_stands_for_an_address(tmp_path):
    requirements.write_locked(tmp_path / "r", PACKAGES[1:], offline=True)
    assert (tmp_path / "r").read_text() == f"--only-binary direct\ndirect==2.0 \\\n    --hash={A}\n"


def test_only_what_the_lock_has_as_a_source_distribution_may_be_built(tmp_path):
    requirements.write_locked(tmp_path / "r", [Package("old", "1.0", (A,), "sdist")], offline=False)
    assert (tmp_path / "r").read_text() == f"old==1.0 \\\n    --hash={A}\n"


def test_one_file(tmp_path):
    requirements.write_file(tmp_path / "r", "demo", "1.0", "c" * 64)
    assert (tmp_path / "r").read_text() == f"demo==1.0 --hash=sha256:{'c' * 64}\n"


def test_constraints_of_builds(tmp_path):
    assert requirements.write_constraints(tmp_path / "c", ()) is None
    assert not (tmp_path / "c").exists()
    assert requirements.write_constraints(tmp_path / "c", ("setuptools<81", "wheel")) == tmp_path / "c"
    assert (tmp_path / "c").read_text() == "setuptools<81\nwheel\n"


def test_a_checkout_in_a_path_with_a_space(tmp_path):
    requirements.write_editable(tmp_path / "r", Path("/src/my verl"))
    assert (tmp_path / "r").read_text() == "--editable file:///src/my%20verl\n"
