"""What a bundle of several locksets is made under."""

from types import SimpleNamespace

from verl_env.bundle.make import _limits


def _planning(constraints, *names):
    packages = [SimpleNamespace(name=name) for name in names]
    return SimpleNamespace(
        plan=SimpleNamespace(lockset=SimpleNamespace(build_constraints=constraints), packages=packages)
    )


def test_a_source_is_built_under_the_constraints_of_its_own_locksets():
    old = _planning(("setuptools==78.1.0",), "shared", "old")
    new = _planning(("setuptools==79.0.1",), "shared", "new")
    found = {name: _limits([old, new], SimpleNamespace(name=name)) for name in ("old", "new", "shared", "none")}
    assert found["old"] == [("setuptools==78.1.0",)]
    assert found["new"] == [("setuptools==79.0.1",)]
    assert found["shared"] == [("setuptools==78.1.0",), ("setuptools==79.0.1",)]
    assert found["none"] == [()]
    assert _limits([old, old], SimpleNamespace(name="old")) == [("setuptools==78.1.0",)]
