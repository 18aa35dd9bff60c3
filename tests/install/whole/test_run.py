"""Whole installations, by uv and by pip, from a directory of small wheels."""

import subprocess

import pytest

from tests.install.environments import STORE
from tests.install.plans import PYTHON, Recorder, check, lockset, options, plan
from verl_env.environment.target import open_target
from verl_env.install.run import install


def have(path):
    """Names and versions in an environment."""
    site = path / "lib" / f"python{PYTHON}" / "site-packages"
    return dict(sorted(entry.name.removesuffix(".dist-info").split("-", 1) for entry in site.glob("*.dist-info")))


def offline(tmp_path, house, **changes):
    return options(tmp_path, offline=True, wheelhouse=house.path, **changes)


@pytest.fixture(params=["uv", "pip"])
def installer(request):
    return request.param


def test_a_new_environment_holds_the_plan_and_speaks_of_its_path(tmp_path, house, target_path, installer):
    demo = house.add("demo", "1.0", entry_points={"demo-run": "demo:run"}, scripts={"demo-old": "#!python\nprint(1)\n"})
    other = house.add("other", "2.0")
    recorder = Recorder()
    lock = lockset(checks=(check(code="import demo, os; assert os.environ['DEMO_VARIABLE'] == '1'"),))
    made = plan([demo, other], lock=lock)
    outcome = install(made, open_target(target_path), offline(tmp_path, house, installer=installer), recorder)
    assert outcome.done
    assert have(target_path).keys() == {"demo", "other", "verl_env_runtime"}
    assert [change.kind for change in outcome.changes] == ["+", "+", "+"]
    assert recorder.steps == ["environment", "packages", "runtime", "check", "switch"]
    assert outcome.checks == ("import-demo",)
    generation = target_path.resolve()
    for file in [*(target_path / "bin").iterdir(), target_path / "pyvenv.cfg"]:
        if file.is_file() and not file.is_symlink():
            assert str(generation).encode() not in file.read_bytes(), file
    assert (target_path / "bin" / "demo-run").read_text().startswith(f"#!{target_path}/bin/python")
    python = target_path / "bin" / "python"
    compiled = list(target_path.glob("lib/*/site-packages/__pycache__/_verl_env_boot.*.pyc"))
    assert len(compiled) == 1, "the hook of every start has its bytecode"
    prefix = subprocess.check_output([python, "-c", "import sys; print(sys.prefix)"], text=True)
    assert prefix.strip() == str(generation), "a process is bound to its generation"
    names = {path.name for path in target_path.with_name(".venv.d").iterdir()}
    assert names == STORE | {"0001"}
