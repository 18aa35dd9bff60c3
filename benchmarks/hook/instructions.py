"""The instructions that the start-up hook costs, beside a bare interpreter and other systems that hook imports.

    python benchmarks/hook/instructions.py FOLDER [--python PYTHON] [--no-peers] [--json FILE]

Counted by callgrind, with bytecode in place, so the figures are exact and the same on every run. FOLDER is empty; the
peers are installed into environments there with uv. Needs valgrind. Limits: start-up at most 1.021 of bare on CPython
3.11 with one new module, none of them from the standard library; an import at most 1.02 while the hook waits.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "verl_env" / "runtime" / "src"
START_LIMIT, IMPORT_LIMIT = 1.021, 1.02
MODULES = 1000

WRAPT = "import wrapt; wrapt.register_post_import_hook(lambda m: None, 'vllm')\n"
OTEL = "opentelemetry/instrumentation/auto_instrumentation"
PROJECT = '[build-system]\nrequires=["setuptools"]\nbuild-backend="setuptools.build_meta"\n'
PROJECT += '[project]\nname="demo"\nversion="1"\n[tool.setuptools.package-dir]\ndemo="code"\n'


class Environment:
    """A virtual environment of its own, without pip. All paths are equally long, for they are parsed at start-up."""

    count = 0

    def __init__(self, folder, python):
        self.path = folder / f"env{Environment.count}"
        Environment.count += 1
        subprocess.run([python, "-m", "venv", "--without-pip", self.path], check=True)
        self.python = self.path / "bin" / "python"
        self.site = next(self.path.glob("lib/python3*/site-packages"))
        self.variables = {}

    def install(self, *arguments):
        command = ["uv", "pip", "install", "-q", "--python", self.python, "--compile-bytecode", *arguments]
        subprocess.run(command, check=True)

    def run(self, code, *wrapper):
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VERL", "OTEL", "DD_"))}
        env |= {"PYTHONHASHSEED": "0", **self.variables}
        return subprocess.run([*wrapper, self.python, "-c", code], env=env, check=True, capture_output=True, text=True)

    def instructions(self, code="pass"):
        self.run(code)
        done = self.run(code, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
        return int(re.search(r"Collected : (\d+)", done.stderr)[1])

    def modules(self):
        return set(self.run("import sys; print(*sys.modules)").stdout.split())


def runtime(folder, python):
    made = Environment(folder, python)
    for item in SOURCE.iterdir():
        if item.name != "__pycache__":
            (shutil.copytree if item.is_dir() else shutil.copy)(item, made.site / item.name)
    subprocess.run([made.python, "-m", "compileall", "-q", made.site], check=True)
    return made


def peers(folder, python):
    """Environments by name."""
    editable = Environment(folder, python)
    project = folder / "project"
    (project / "code").mkdir(parents=True)
    (project / "code" / "__init__.py").touch()
    (project / "pyproject.toml").write_text(PROJECT)
    editable.install("--no-deps", "-e", project)
    wrapt = Environment(folder, python)
    wrapt.install("wrapt")
    (wrapt.site / "wrapt_hook.pth").write_text(WRAPT)
    otel = Environment(folder, python)
    otel.install("opentelemetry-distro")
    otel.variables = {"PYTHONPATH": str(otel.site / OTEL)}
    otel.variables |= {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    ddtrace = Environment(folder, python)
    ddtrace.install("ddtrace")
    ddtrace.variables = {"PYTHONPATH": str(ddtrace.site / "ddtrace" / "bootstrap")}
    ddtrace.variables |= {"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false", "DD_TRACE_ENABLED": "false"}
    ddtrace.variables |= {"DD_REMOTE_CONFIGURATION_ENABLED": "false"}
    return {"setuptools editable": editable, "wrapt": wrapt, "OpenTelemetry": otel, "ddtrace": ddtrace}


def per_import(environment, folder):
    """Instructions of one import of a small module, from a thousand of them."""
    if not folder.exists():
        folder.mkdir()
        for number in range(MODULES):
            (folder / f"tiny_{number}.py").write_text("x = 1\n")
    head = f"import sys; sys.path.insert(0, {str(folder)!r})\n"
    names = ", ".join(f"tiny_{number}" for number in range(MODULES))
    most = environment.instructions(head + f"import {names}")
    return (most - environment.instructions(head + "import tiny_0")) / (MODULES - 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    folder = args.folder.resolve()
    bare, ours = Environment(folder, args.python), runtime(folder, args.python)
    others = {} if args.no_peers else peers(folder, args.python)
    base = bare.instructions()
    counts = {"bare": base, "verl-env": ours.instructions()}
    counts |= {name: made.instructions() for name, made in others.items()}
    imports = {"bare": per_import(bare, folder / "tiny"), "verl-env": per_import(ours, folder / "tiny")}
    new = sorted(ours.modules() - bare.modules())
    kept = counts["verl-env"] <= START_LIMIT * base and imports["verl-env"] <= IMPORT_LIMIT * imports["bare"]
    kept = kept and new == ["_verl_env_boot"]
    show(counts, imports, new)
    if args.json:
        args.json.write_text(json.dumps({"start": counts, "import": imports, "new_modules": new, "ok": kept}) + "\n")
    return 0 if kept else 1


def show(counts, imports, new):
    print(f"{'start-up':22}{'M instr':>10}{'added':>10}{'x bare':>9}")
    for name, count in counts.items():
        added = (count - counts["bare"]) / 1e6
        print(f"{name:22}{count / 1e6:10.2f}{added:10.2f}{count / counts['bare']:9.4f}")
    for name, count in imports.items():
        print(f"one import, {name:10}{count / 1e3:10.1f} k instr{count / imports['bare']:9.4f}")
    print("new modules:", *new)


if __name__ == "__main__":
    sys.exit(main())
