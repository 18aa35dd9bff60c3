"""An environment with a small vLLM in it: the same modules, classes and faults, without torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "verl_env" / "runtime" / "src"

FAULTY_MOE = """
class Parameter:
    def __init__(self, data, requires_grad=False):
        self.data = data
        self.requires_grad = requires_grad

    def requires_grad_(self, value):
        self.requires_grad = value


class UnquantizedFusedMoEMethod:
    def process_weights_after_loading(self, layer):
        layer.w13_weight = Parameter(layer.w13_weight.data)
        layer.w2_weight = Parameter(layer.w2_weight.data)
"""
MENDED_MOE = FAULTY_MOE.replace(
    "layer.w13_weight = Parameter(layer.w13_weight.data)", "layer.w13_weight.data = 1"
).replace("layer.w2_weight = Parameter(layer.w2_weight.data)", "layer.w2_weight.data = 1")
FP8 = """
from vllm.model_executor.layers.fused_moe.layer import Parameter


class Fp8LinearMethod:
    def process_weights_after_loading(self, layer):
        layer.weight = Parameter(layer.weight.data)


class Fp8MoEMethod:
    def process_weights_after_loading(self, layer):
        layer.w13_weight = Parameter(layer.w13_weight.data)
"""
LORA = """
class WorkerLoRAManager:
    def _load_adapter(self, lora_request):
        return self._lora_model_cls.from_local_checkpoint(lora_request.lora_path, set())
"""
MOE = "model_executor/layers/fused_moe/layer.py"
FILES = {
    MOE: FAULTY_MOE,
    "model_executor/layers/quantization/fp8.py": FP8,
    "lora/worker_manager.py": LORA,
}


def write_vllm(site, version="0.8.2", files=FILES):
    """Writes a vLLM with metadata into a directory of packages."""
    root = Path(site) / "vllm"
    shutil.rmtree(root, ignore_errors=True)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for folder in path.relative_to(root.parent).parents:
            if folder != Path():
                (root.parent / folder / "__init__.py").touch()
    for old in Path(site).glob("vllm-*.dist-info"):
        shutil.rmtree(old)
    info = Path(site) / f"vllm-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")
    return root


class Environment:
    """A virtual environment with the runtime in it and, where asked, a vLLM."""

    def __init__(self, path, base=sys.executable):
        subprocess.run([base, "-m", "venv", "--without-pip", str(path)], check=True, capture_output=True)
        self.python = path / "bin" / "python"
        self.site = next(path.glob("lib/python3*/site-packages"))

    def install(self):
        for item in SOURCE.iterdir():
            if item.name == "__pycache__":
                continue
            if item.is_dir():
                shutil.copytree(item, self.site / item.name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(item, self.site)
        return self

    def run(self, code, *options, check=True, **variables):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VERL_ENV"))}
        done = subprocess.run(
            [str(self.python), *options, "-c", code],
            env={**env, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def ask(self, code, *options, **variables):
        """The JSON that code prints."""
        done = self.run("import json\n" + code, *options, **variables)
        assert done.stderr == ""
        return json.loads(done.stdout)


STATES = """
import verl_env_runtime
states = {entry["id"]: (entry["state"], entry["in_force"]) for entry in verl_env_runtime.status()}
"""
IMPORT_ALL = """
import vllm.model_executor.layers.fused_moe.layer as moe
import vllm.model_executor.layers.quantization.fp8
import vllm.lora.worker_manager
"""
# What a second load needs: the object that carries the loader, after processing.
SURVIVES = """
def survives():
    class Layer:
        pass
    layer = Layer()
    old = moe.Parameter(1)
    old.weight_loader = "loader"
    layer.__dict__["_parameters"] = {"w13_weight": old, "w2_weight": moe.Parameter(2)}
    Layer.__getattr__ = lambda self, name: self._parameters[name]
    Layer.__setattr__ = lambda self, name, value: self._parameters.__setitem__(name, value)
    moe.UnquantizedFusedMoEMethod().process_weights_after_loading(layer)
    return layer.w13_weight is old
"""
