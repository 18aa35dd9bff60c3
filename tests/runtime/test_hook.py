"""The start-up hook in real interpreters: where it lives, what it does, and that nothing it does hurts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import fakes
from .fakes import IMPORT_ALL, STATES, SURVIVES

pytestmark = pytest.mark.slow

ARMED = "import sys; print(json.dumps([getattr(f, '__name__', '') for f in sys.meta_path].count('_verl_env_boot')))"
OTHERS = ("moe-kernel-layout", "stale-loaders", "lora-mapper", "rocm-moe-expert-map")
NOT_FOR_THIS = {name: ["not-needed", False] for name in OTHERS}
ALL_IN_FORCE = NOT_FOR_THIS | {
    name: ["applied-unverified", True] for name in ("moe-weight-loader", "fp8-block-quant", "lora-tensors")
}


@pytest.mark.parametrize(
    "options", [(), ("-I",), ("-E",), ("-s",), ("-O",), ("-B",)], ids=lambda o: "".join(o) or "plain"
)
def test_armed_once_and_silent(environment, options):
    assert environment.ask(ARMED, *options) == 1


def test_silent_under_s(environment):
    done = environment.run("import sys; print('_verl_env_boot' in sys.modules)", "-S")
    assert done.stdout == "False\n"


def test_one_new_module_and_nothing_from_the_library(environment, tmp_path):
    bare = fakes.Environment(tmp_path / "bare")
    (bare.site / "other.pth").write_text("# from 3.13 on, reading any .pth imports an encoding\n")
    (bare.site / "other.start").write_text("sys:getrecursionlimit\n")  # and from 3.15 on any .start imports pkgutil
    count = "import sys; print(json.dumps(sorted(sys.modules)))"
    assert set(environment.ask(count)) - set(bare.ask(count)) == {"_verl_env_boot"}


def test_patched_on_import_by_one_finder(environment):
    code = IMPORT_ALL + SURVIVES + STATES
    code += "import sys\nprint(json.dumps([states, survives(), len([f for f in sys.meta_path if 'verl' in repr(f)])]))"
    assert environment.ask(code) == [ALL_IN_FORCE, True, 1]


def test_the_fault_is_there_without_the_hook(environment):
    code = f"import sys; sys.path.append({str(environment.site)!r})\n"
    code += IMPORT_ALL + SURVIVES + "print(json.dumps(survives()))"
    assert environment.ask(code, "-S") is False


def test_state_before_the_import_is_what_it_will_be(environment):
    code = STATES + "import sys; print(json.dumps([states, 'vllm' in sys.modules]))"
    expected = {name: [state, False] for name, (state, _) in ALL_IN_FORCE.items()}
    assert environment.ask(code) == [expected, False]


def test_looking_for_vllm_without_importing_it_loses_nothing(environment):
    code = (
        "import importlib.util; importlib.util.find_spec('vllm')\n" + IMPORT_ALL + STATES + "print(json.dumps(states))"
    )
    assert environment.ask(code) == ALL_IN_FORCE


def test_modules_that_were_imported_before(environment):
    code = "import sys; sys.meta_path.remove(sys.modules['_verl_env_boot'])\n" + IMPORT_ALL + SURVIVES
    code += "before = survives()\nimport verl_env_runtime; verl_env_runtime.install(); verl_env_runtime.install()\n"
    code += STATES + "print(json.dumps([before, survives(), states]))"
    assert environment.ask(code) == [False, True, ALL_IN_FORCE]


def test_a_module_loaded_behind_the_hook_is_not_called_in_force(environment):
    code = "import sys; sys.meta_path.remove(sys.modules['_verl_env_boot'])\n" + IMPORT_ALL + STATES
    assert environment.ask(code + "print(json.dumps(states))") == NOT_FOR_THIS | {
        name: ["failed", False] for name in ALL_IN_FORCE if name not in NOT_FOR_THIS
    }


def test_reload_while_others_wait(environment):
    code = "import importlib, vllm.model_executor.layers.fused_moe.layer as moe\nimportlib.reload(moe)\n" + SURVIVES
    code += "import inspect\nprint(json.dumps([survives(), 'layer.w2_weight' in inspect.getsource(moe)]))"
    assert environment.ask(code) == [True, True]


RELOADED = {
    "reload": "import importlib; importlib.reload(moe)\n",
    "twice": "import importlib; importlib.reload(moe); importlib.reload(moe)\n",
    "purge": "import sys\nfor name in [key for key in sys.modules if key.startswith('vllm')]: del sys.modules[name]\n"
    + IMPORT_ALL,
}


@pytest.mark.parametrize("how", RELOADED)
def test_modules_that_are_loaded_again_are_patched_again(environment, how):
    code = IMPORT_ALL + RELOADED[how] + SURVIVES + STATES + "print(json.dumps([survives(), states]))"
    assert environment.ask(code) == [True, ALL_IN_FORCE]


FINDER = """
import sys
from importlib.machinery import PathFinder
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, path, target) if name.startswith("vllm") else None
sys.meta_path.insert(0, Finder)
"""


def test_a_finder_before_ours_is_said_and_repaired_by_install(environment):
    code = FINDER + IMPORT_ALL + SURVIVES + STATES + "before = [survives(), states['moe-weight-loader']]\n"
    code += "verl_env_runtime.install()\n" + STATES + "import importlib; importlib.reload(moe)\n"
    code += "print(json.dumps([before, states, survives()]))"
    assert environment.ask(code) == [[False, ["failed", False]], ALL_IN_FORCE, True]


def test_install_goes_before_a_finder_that_came_while_vllm_was_imported(environment):
    code = "import vllm\n" + FINDER + "import verl_env_runtime; verl_env_runtime.install()\n"
    code += IMPORT_ALL + SURVIVES + STATES + "print(json.dumps([survives(), states]))"
    assert environment.ask(code) == [True, ALL_IN_FORCE]


def test_a_pth_file_before_ours_that_imports_vllm(own_environment):
    (own_environment.site / "a.pth").write_text("import vllm.model_executor.layers.fused_moe.layer\n")
    code = IMPORT_ALL + SURVIVES + STATES + "print(json.dumps([survives(), states]))"
    assert own_environment.ask(code) == [True, ALL_IN_FORCE]


def test_vllm_in_an_archive_has_no_source_to_read(own_environment):
    shutil.make_archive(str(own_environment.site / "archive"), "zip", own_environment.site, "vllm")
    shutil.rmtree(own_environment.site / "vllm")
    (own_environment.site / "archive.pth").write_text(str(own_environment.site / "archive.zip"))
    code = IMPORT_ALL + "import verl_env_runtime; print(json.dumps(verl_env_runtime.status()))"
    for entry in own_environment.ask(code):
        assert (entry["state"], entry["in_force"]) == ("declined", False)
        assert "cannot be read" in entry["reason"]


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_child_processes(environment, tmp_path, method):
    script = tmp_path / "main.py"
    body = IMPORT_ALL + SURVIVES + "print(survives(), flush=True)"
    body = "\n    ".join(body.splitlines())
    script.write_text(f"""
import multiprocessing, sys

def work():
    {body}

if __name__ == "__main__":
    process = multiprocessing.get_context("{method}").Process(target=work)
    process.start()
    process.join()
    sys.exit(process.exitcode)
""")
    done = subprocess.run([environment.python, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("True\n", "", 0)


def test_a_thread_and_run_as_module(environment):
    package = environment.site / "vllm" / "entry.py"
    package.write_text(IMPORT_ALL + SURVIVES + "print(survives())")
    done = subprocess.run([environment.python, "-m", "vllm.entry"], capture_output=True, text=True, check=False)
    package.unlink()
    assert (done.stdout, done.stderr) == ("True\n", "")
    code = "import threading\nout = []\ndef work():\n    import vllm.model_executor.layers.fused_moe.layer as moe\n"
    code += (
        "    out.append(hasattr(moe.UnquantizedFusedMoEMethod.process_weights_after_loading, '__verl_env_patch__'))\n"
    )
    code += "threads = [threading.Thread(target=work) for _ in range(8)]\n[t.start() for t in threads]\n"
    code += "[t.join() for t in threads]\nprint(json.dumps(out))"
    assert environment.ask(code) == [True] * 8


@pytest.mark.parametrize("value", ["off", "0", "OFF", "none"])
def test_switched_off(environment, value):
    code = IMPORT_ALL + SURVIVES + STATES + "print(json.dumps([survives(), states]))"
    survives, states = environment.ask(code, VERL_ENV_PATCHES=value)
    assert survives is False
    assert {state for state, _ in states.values()} == {"disabled"}


def test_one_patch_switched_off(environment):
    code = IMPORT_ALL + STATES + "print(json.dumps(states))"
    states = environment.ask(code, VERL_ENV_PATCHES="lora-tensors, moe-weight-loader")
    assert states["fp8-block-quant"] == ["applied-unverified", True]
    assert states["lora-tensors"][0] == states["moe-weight-loader"][0] == "disabled"


def test_strict_leaves_unknown_code_alone(environment):
    code = IMPORT_ALL + SURVIVES + STATES + "print(json.dumps([survives(), states['moe-weight-loader']]))"
    assert environment.ask(code, VERL_ENV_PATCHES_STRICT="1") == [False, ["declined", False]]


def test_the_log_is_written_only_where_it_is_asked_for(environment, tmp_path):
    log = tmp_path / "log"
    environment.run(IMPORT_ALL, VERL_ENV_PATCHES_LOG=str(log))
    assert "moe-weight-loader: applied-unverified" in log.read_text()
    assert "lora-tensors" in environment.run(IMPORT_ALL, VERL_ENV_PATCHES_LOG="1").stderr
    assert environment.run(IMPORT_ALL, VERL_ENV_PATCHES_LOG=str(tmp_path)).returncode == 0


BREAKAGES = {
    "package gone": lambda site: shutil.rmtree(site / "verl_env_runtime"),
    "package half gone": lambda site: (site / "verl_env_runtime" / "registry.py").unlink(),
    "wrapper gone": lambda site: (site / "verl_env_runtime" / "moe.py").unlink(),
    "table gone": lambda site: (site / "verl_env_runtime" / "fingerprints.json").unlink(),
    "table of another version": lambda site: (site / "verl_env_runtime" / "fingerprints.json").write_text("[1]"),
    "syntax error": lambda site: (site / "verl_env_runtime" / "hook.py").write_text("def"),
    "exits": lambda site: (site / "verl_env_runtime" / "hook.py").write_text("raise SystemExit(3)"),
    "patch exits": lambda site: (site / "verl_env_runtime" / "moe.py").write_text("raise SystemExit(3)"),
    "patch raises when it wraps": lambda site: (site / "verl_env_runtime" / "moe.py").write_text(
        "def wrap(original):\n    raise KeyboardInterrupt"
    ),
    "other version": lambda site: (site / "verl_env_runtime" / "hook.py").write_text("def arm(new): pass"),
    "truncated": lambda site: (site / "verl_env_runtime" / "gates.py").write_bytes(b"\0\xff" * 50),
}


@pytest.mark.parametrize("broken", BREAKAGES)
def test_a_broken_runtime_breaks_nothing(own_environment, broken):
    BREAKAGES[broken](own_environment.site)
    code = IMPORT_ALL + "print(json.dumps(moe.__name__))"
    assert own_environment.ask(code) == "vllm.model_executor.layers.fused_moe.layer"


def test_a_broken_patch_says_so_and_leaves_the_others(own_environment):
    BREAKAGES["patch exits"](own_environment.site)
    states = own_environment.ask(IMPORT_ALL + STATES + "print(json.dumps(states))")
    assert states["moe-weight-loader"] == ["failed", False]
    assert states["fp8-block-quant"] == ["applied-unverified", True]


def test_a_missing_boot_module_does_not_stop_the_interpreter(own_environment):
    (own_environment.site / "_verl_env_boot.py").unlink()
    assert own_environment.run("print(1)").stdout == "1\n"


def test_an_import_that_fails_fails_as_it_would(own_environment):
    fakes.write_vllm(own_environment.site, files={**fakes.FILES, fakes.MOE: "raise RuntimeError('no GPU')"})
    done = own_environment.run("import vllm.model_executor.layers.fused_moe.layer", check=False)
    assert done.stderr.endswith("RuntimeError: no GPU\n")
    assert "verl_env" not in done.stderr


def test_a_module_that_fails_first_is_patched_when_it_comes(environment):
    code = "import sys, os\n" + SURVIVES
    code += "import vllm.model_executor.layers.fused_moe as parent\n"
    code += "path = parent.__path__[0] + '/layer.py'\ntext = open(path).read()\n"
    code += "open(path, 'w').write('raise RuntimeError\\n' + '#' * len(text))\n"
    code += "try:\n    import vllm.model_executor.layers.fused_moe.layer\nexcept RuntimeError:\n    pass\n"
    code += "open(path, 'w').write(text)\nimport importlib; importlib.invalidate_caches()\n"
    code += "import vllm.model_executor.layers.fused_moe.layer as moe\nprint(json.dumps(survives()))"
    assert environment.ask(code, "-B") is True


def test_other_import_hooks_stay_in_the_game(environment):
    code = (
        """
import sys
class Other:
    seen = []
    def find_spec(self, name, path=None, target=None):
        self.seen.append(name)
sys.meta_path.insert(0, Other())
"""
        + IMPORT_ALL
        + SURVIVES
        + "print(json.dumps([survives(), 'vllm.model_executor.layers.fused_moe.layer' in Other.seen]))"
    )
    assert environment.ask(code) == [True, True]


def test_verl_came_first(own_environment):
    (own_environment.site / "verl.py").write_text(
        "import vllm.model_executor.layers.fused_moe.layer as moe\n"
        "def process(self, layer): pass\n"
        "moe.UnquantizedFusedMoEMethod.process_weights_after_loading = process\n"
    )
    code = "import sys; boot = sys.modules['_verl_env_boot']; sys.meta_path.remove(boot)\n"
    code += "import verl\nsys.meta_path.insert(2, boot)\n"
    code += "import verl_env_runtime; verl_env_runtime.install()\nprint(json.dumps(verl_env_runtime.status()[0]))"
    entry = own_environment.ask(code)
    assert (entry["state"], entry["in_force"]) == ("not-needed", False)
    assert "verl" in entry["reason"]


def test_verl_came_second(own_environment):
    code = IMPORT_ALL + "def process(self, layer): pass\nprocess.__module__ = 'verl.utils.vllm'\n"
    code += "moe.UnquantizedFusedMoEMethod.process_weights_after_loading = process\n"
    code += "import verl_env_runtime; print(json.dumps(verl_env_runtime.status()[0]['state']))"
    assert own_environment.ask(code) == "not-needed"


def test_somebody_else_came_first(environment):
    code = "import sys; boot = sys.modules['_verl_env_boot']; sys.meta_path.remove(boot)\n" + IMPORT_ALL
    code += "def process(self, layer): pass\nmoe.UnquantizedFusedMoEMethod.process_weights_after_loading = process\n"
    code += "import verl_env_runtime; verl_env_runtime.install(); print(json.dumps(verl_env_runtime.status()[0]))"
    entry = environment.ask(code)
    assert entry["state"] == "declined"
    assert "__main__" in entry["reason"]


def _interpreters():
    found = sorted(Path("/root/.pyenv/versions").glob("3.*/bin/python")) if Path("/root/.pyenv").is_dir() else []
    named = [shutil.which(f"python3.{minor}") for minor in range(9, 16)]
    return [str(path) for path in [*found, *filter(None, [*named, shutil.which("python3", path="/usr/bin")])]]


def _supported(path):
    code = "import sys, venv; print(sys.version_info >= (3, 9))"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout == "True\n"


@pytest.mark.parametrize("base", [path for path in _interpreters() if _supported(path)] or [sys.executable])
def test_every_python_at_hand(tmp_path, base):
    made = fakes.Environment(tmp_path / "env", base).install()
    fakes.write_vllm(made.site)
    code = IMPORT_ALL + SURVIVES + STATES + "print(json.dumps([survives(), states]))"
    assert made.ask(code) == [True, ALL_IN_FORCE]
    assert made.ask(ARMED, "-I") == 1


def test_start_file_names_the_callable():
    module, _, name = (fakes.SOURCE / "verl_env.start").read_text().strip().partition(":")
    assert f"def {name}(" in (fakes.SOURCE / f"{module}.py").read_text()


@pytest.mark.skipif(sys.version_info < (3, 15), reason="PEP 829")
def test_the_start_file_alone_arms(own_environment):
    (own_environment.site / "verl_env.pth").unlink()
    assert own_environment.ask(ARMED) == 1
    assert own_environment.ask(IMPORT_ALL + SURVIVES + "print(json.dumps(survives()))") is True
