"""Every option is one that every release has for which it is given: composed by hydra, as the trainer does."""

import subprocess
import sys

import pytest

from verl_env.verify.model import Training
from verl_env.verify.run import Room
from verl_env.verify.training import options_for

RELEASES = ("0.3.0.post1", "0.4.1", "0.5.0", "0.6.1", "0.7.0", "0.7.1", "0.8.0", "0.9.0", "0.9.1")
COMPOSE = """
import sys
from hydra import compose, initialize_config_dir
with initialize_config_dir(sys.argv[1], version_base=None):
    compose(sys.argv[2], overrides=sys.argv[3:])
"""


@pytest.mark.e2e
@pytest.mark.parametrize("backend", ["fsdp", "megatron"])
@pytest.mark.parametrize("release", RELEASES)
def test_options_compose(release, backend, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target"]
    subprocess.run([*pip, tmp_path / "verl", "--no-deps", f"verl=={release}"], check=True)
    subprocess.run([*pip, tmp_path / "hydra", "hydra-core"], check=True)
    name = "ppo_megatron_trainer" if backend == "megatron" else "ppo_trainer"
    config = tmp_path / "verl" / "verl" / "trainer" / "config"
    for packages in ({"verl": release}, {"verl": release, "flash-attn": "2.8.3"}):
        training = Training(backend, "vllm", 1)
        room = Room(tmp_path, tmp_path / "python", {})
        options = room.filled(options_for(training, packages))
        argv = [sys.executable, "-c", COMPOSE, config, name, *options]
        done = subprocess.run(
            argv, check=False, env={"PYTHONPATH": str(tmp_path / "hydra")}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
