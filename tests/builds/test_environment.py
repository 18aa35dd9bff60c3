import pytest

from tests.builds.facts import job, lock
from verl_env.builds.environment import expose, lock_paths, name_interpreter, requirements
from verl_env.environment.installed import site_packages

LOCK = lock(packages={"torch": "2.6.0", "packaging": "24.2", "ninja": "1.11.1.1", "setuptools": "70.0"})
OLD_SETUPTOOLS = lock(packages={"setuptools": "82.0"}, constraints=("setuptools==79.0.1",))


@pytest.mark.parametrize(
    ("requires", "of", "needed"),
    [
        ((), lock(packages={}), ["setuptools", "wheel"]),
        ((), LOCK, ["setuptools==70.0", "wheel"]),
        (
            ("packaging", "ninja>=1.10"),
            LOCK,
            ["packaging==24.2", "ninja==1.11.1.1", "setuptools==70.0", "wheel"],
        ),
        (("packaging>=25",), LOCK, ["packaging>=25", "setuptools==70.0", "wheel"]),
        (("setuptools>=77", "pybind11[global]"), LOCK, ["setuptools>=77", "pybind11[global]", "wheel"]),
        (
            ("pybind11[global]>=2",),
            lock(packages={"pybind11": "3.0.0"}),
            ["pybind11[global]==3.0.0", "setuptools", "wheel"],
        ),
        (
            ("setuptools",),
            lock(packages={"setuptools": "82.0"}, constraints=("setuptools==79.0.1",)),
            ["setuptools", "wheel"],
        ),
    ],
)
def test_what_the_lock_satisfies_is_taken_in_its_version(requires, of, needed):
    assert requirements([job(requires=requires)], of) == needed


def test_the_packages_of_a_lock_come_after_those_of_the_build(tmp_path):
    site = site_packages(tmp_path, "3.10")
    site.mkdir(parents=True)
    expose(tmp_path, (tmp_path / "a", tmp_path / "b", tmp_path / "a"), "3.10")
    assert next(site.glob("*.pth")).read_text() == f"{tmp_path}/a\n{tmp_path}/b\n"


def test_compilers_find_headers_and_libraries_of_wheels(tmp_path):
    site, room = tmp_path / "site", tmp_path / "room"
    room.mkdir()
    for name in (
        "cublas/include/cublas.h",
        "cublas/lib/libcublas.so.12",
        "cudnn/lib/libcudnn.so.9",
        "cudnn/include/c.h",
    ):
        (site / "nvidia" / name).parent.mkdir(parents=True, exist_ok=True)
        (site / "nvidia" / name).write_text(name)
    paths = lock_paths((site,), room)
    assert paths == {"CPATH": f"{site}/nvidia/cublas/include:{site}/nvidia/cudnn/include", "LIBRARY_PATH": str(room)}
    assert (room / "libcublas.so").read_text() == "cublas/lib/libcublas.so.12"


def test_where_wheels_bring_nothing_nothing_is_set(tmp_path):
    (tmp_path / "room").mkdir()
    assert lock_paths((tmp_path,), tmp_path / "room") == {}


@pytest.mark.parametrize("there", [("python",), ("python", "python3", "python3.10")])
def test_the_interpreter_answers_to_every_name(tmp_path, there):
    (tmp_path / "bin").mkdir()
    for name in there:
        (tmp_path / "bin" / name).write_text("the interpreter")
    name_interpreter(tmp_path, "3.10")
    assert {path.name for path in (tmp_path / "bin").iterdir()} == {"python", "python3", "python3.10"}
    assert all(path.read_text() == "the interpreter" for path in (tmp_path / "bin").iterdir())
