"""Two packages of a lock with one path: the later one in the lock has it, whichever installer ran last."""

import pytest

from tests.install.plans import PYTHON, Recorder, options, plan
from tests.rounds import EITHER
from verl_env.environment.overlap import contested, losers
from verl_env.environment.target import open_target
from verl_env.install.run import install


@pytest.mark.parametrize("installer", EITHER)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_later_one_has_the_path(tmp_path, house, target_path, installer, reverse):
    names = ["aaa", "zzz"]
    files = {name: {f"{name}/__init__.py": "", "both/__init__.py": f"owner = {name!r}\n"} for name in names}
    packages = [house.add(name, "1.0", files[name]) for name in (reversed(names) if reverse else names)]
    made = plan(packages)
    order = [package.name for package in made.packages]
    for _ in range(2):
        where = options(tmp_path, offline=True, wheelhouse=house.path, installer=installer)
        done = install(made, open_target(target_path), where, Recorder())
    both = target_path / "lib" / f"python{PYTHON}" / "site-packages" / "both" / "__init__.py"
    assert both.read_text() == f"owner = {order[-1]!r}\n"
    assert not done.done
    assert list(contested(target_path)) == [f"lib/python{PYTHON}/site-packages/both/__init__.py"]
    assert losers(target_path, order) == ()
    assert losers(target_path, order[::-1]) == (order[0],)
