"""What an interpreter that is asked hands down to the processes that it starts."""

import pytest

from verl_env.machine.child import Completed
from verl_env.patches import ask


@pytest.mark.parametrize("process", ask.PROCESSES)
def test_processes_that_are_started_see_no_packages_of_the_user(tmp_path, monkeypatch, process):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    (tmp_path / "lib" / "python3.12" / "site-packages" / "verl_env_runtime").mkdir(parents=True)
    (tmp_path / "lib" / "python3.12" / "site-packages" / "verl_env_runtime" / "__init__.py").touch()
    seen = {}

    def run(argv, *, deadline, env):
        seen.update(env)
        return Completed((), 0, b"{}", b"", 0.0)

    monkeypatch.setattr(ask, "run", run)
    monkeypatch.setattr(ask, "parse_report", lambda data, **_: data)
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("VLLM_PLUGINS", "verl_env")
    ask.verify(tmp_path, process)
    assert "PYTHONPATH" not in seen
    assert seen["PYTHONNOUSERSITE"] == "1"
    assert seen["VLLM_PLUGINS"] == "verl_env"
