"""What reads texts and files of others, each with an example that it reads: the seeds of what is made up from them."""

import json
import sys
from pathlib import Path

from tests.install.wheels import wheel_bytes
from verl_env.additions.arguments import parse_install
from verl_env.additions.outputs import causes, pip_found, reasons, uv_found
from verl_env.binaries.cubin import read_architectures
from verl_env.binaries.elf import read_elf
from verl_env.bundle.manifest import from_bytes
from verl_env.cluster.answers import Pieces, unlabelled
from verl_env.doctor.engines.metadata import read_distribution
from verl_env.doctor.ingest.report import facts_of, read_report
from verl_env.doctor.last_words import last_words
from verl_env.doctor.redact import redact
from verl_env.environment.history import read_entries
from verl_env.environment.journal import read as read_journal
from verl_env.environment.record import read_record
from verl_env.environment.state import read_state
from verl_env.errors import VerlEnvError
from verl_env.installers.classify import classify
from verl_env.locksets.load import parse_packages, read_toml
from verl_env.machine.amd.rocminfo import parse_rocminfo
from verl_env.machine.amd.smi_json import parse_amd_smi, parse_rocm_smi
from verl_env.machine.nvidia.smi_csv import parse_smi_csv, parse_smi_list
from verl_env.machine.nvidia.smi_xml import parse_smi_xml
from verl_env.machine.record import machine_from_json, read_machine
from verl_env.machine.system.osrelease import parse_os_release
from verl_env.reading import json_of
from verl_env.settings.config import load_config
from verl_env.wheels.identity import read_identity

#: What a parser may say of what it cannot read; anything else is a fault.
ALLOWED = (VerlEnvError, ValueError, OSError)

REPORT = """\
vllm==0.8.5.post1
torch 2.6.0+cu124
Python 3.10.12, NVIDIA-SMI 550.54.15 Driver Version: 550.54.15 CUDA Version: 12.4
| 0  NVIDIA H100 80GB HBM3  On | 00000000:1B:00.0 Off |
export CUDA_HOME=/usr/local/cuda
Traceback (most recent call last):
  File "/opt/env/lib/python3.10/site-packages/vllm/__init__.py", line 3, in <module>
ImportError: /opt/env/lib/python3.10/site-packages/flash_attn_2_cuda.so: undefined symbol: _ZN3c105Error
"""
INSTALLER = """\
Using Python 3.11.7
 + thing==1.0 (from file:///wheels/thing-1.0-py3-none-any.whl)
Because thing==1.0 depends on helper>=2 and helper==0.2, we can conclude that thing cannot be used.
    thing 1.0 depends on helper>=2
ERROR: Hash mismatch for `thing==1.0` Expected sha256:00 Computed: sha256:11
"""
MACHINE = {
    "schema": 1,
    "host": {"os": "ubuntu", "glibc": "2.35", "arch": "x86_64"},
    "nvidia": {"driver": "550.54.15", "cuda": "12.4", "devices": [{"name": "H100", "compute_capability": "9.0"}]},
}
LOCK = f"demo==1.0 \\\n    --hash=sha256:{'0' * 64}\n    # wheel; 10 bytes; 20 unpacked\n"


def _text(parse):
    return lambda data, _: parse(data.decode("utf-8", "surrogateescape"))


def _file(parse, name):
    """A parser of a file, which it finds by its own name in a directory or is given by its path."""

    def read(data, folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return parse(folder, path)

    return read


def _pieces(data, _):
    pieces = Pieces()
    for line in data.split(b"\n"):
        pieces.take(unlabelled(line)[1])


def _uv(text):
    return uv_found(text, []), causes(text, {"helper": "0.2"}), reasons(text)


XML = (
    b"<nvidia_smi_log><driver_version>550.54.15</driver_version><gpu id='0'><product_name>H100</product_name></gpu>"
    b"</nvidia_smi_log>"
)
STATE = b'{"schema": 1, "path": "/x", "checks": []}'
HISTORY = b'[{"when": "2026", "generation": "0001"}]'
CSV = b"index, name, driver_version\n0, NVIDIA H100, 550.54.15\n"
LOCKSET = b'schema = 1\nid = "a/b"\n[requires]\narch = []\n'


def _classified(text):
    return [classify(name, ("x",), 1, text).message for name in ("uv", "pip")]


#: By name: the parser, which gets bytes and a directory, and an example.
PARSERS = {
    "report": (_text(facts_of), REPORT.encode()),
    "report-json": (_text(facts_of), json.dumps({"schema": 1, "packages": {"torch": "2.6"}, "log": REPORT}).encode()),
    "report-file": (_file(lambda _, path: read_report(path), "r.txt"), REPORT.encode()),
    "redact": (_text(redact), (REPORT + "https://user:pw@host/x?token=abcdefgh hf_abcdefghijk").encode()),
    "last-words": (_text(lambda text: last_words(text, "ended")), REPORT.encode()),
    "uv": (
        _text(lambda text: (uv_found(text, []), causes(text, {"helper": "0.2"}), reasons(text))),
        INSTALLER.encode(),
    ),
    "pip": (lambda data, _: pip_found(data), b'{"install": [{"metadata": {"name": "a", "version": "1"}}]}'),
    "installer-failure": (_text(_classified), INSTALLER.encode()),
    "requirements": (
        _file(lambda folder, path: parse_install(["-r", str(path)], folder), "r.txt"),
        b"demo>=1 ; python_version > '3' # x\n-e git+https://x/y#egg=z\n--find-links wheels\n",
    ),
    "machine": (_file(lambda _, path: read_machine(path), "m.json"), json.dumps(MACHINE).encode()),
    "machine-json": (lambda data, _: machine_from_json(json_of(data)), json.dumps(MACHINE).encode()),
    "nvidia-smi-csv": (
        lambda data, _: parse_smi_csv(data),
        b"index, name, driver_version\n0, NVIDIA H100, 550.54.15\n",
    ),
    "nvidia-smi-list": (lambda data, _: parse_smi_list(data), b"GPU 0: NVIDIA H100 (UUID: GPU-1)\n"),
    "nvidia-smi-xml": (
        lambda data, _: parse_smi_xml(data),
        XML,
    ),
    "rocminfo": (_text(parse_rocminfo), b"Agent 2\n  Name:                    gfx942\n  Uuid: GPU-1\n"),
    "amd-smi": (_text(parse_amd_smi), b'[{"gpu": 0, "asic": {"market_name": "MI300X"}}]'),
    "rocm-smi": (_text(parse_rocm_smi), b'{"card0": {"Card series": "MI300X"}}'),
    "os-release": (_text(parse_os_release), b'ID=ubuntu\nVERSION_ID="22.04"\n'),
    "config": (
        _file(lambda _, path: load_config({"VERL_ENV_CONFIG": str(path)}), "c.toml"),
        b'[mirrors]\n"https://github.com/" = "https://mirror/"\n[cache]\n',
    ),
    "lockset": (
        _file(lambda _, path: read_toml(path), "lockset.toml"),
        b'schema = 1\nid = "a/b"\n[requires]\narch = []\n',
    ),
    "lock": (_text(lambda text: parse_packages(text, "lock.txt")), LOCK.encode()),
    "manifest": (lambda data, _: from_bytes(data, Path("bundle")), b'{"format": 1, "files": [], "plans": []}'),
    "state": (
        _file(lambda folder, _: read_state(folder), "verl-env.json"),
        b'{"schema": 1, "path": "/x", "checks": []}',
    ),
    "history": (
        _file(lambda _, path: read_entries(path, "0001"), "h.json"),
        b'[{"when": "2026", "generation": "0001"}]',
    ),
    "journal": (_file(lambda _, path: read_journal(path), "j.json"), b'{"pid": 1, "host": "h", "phase": "switch"}'),
    "record": (
        _file(lambda folder, _: read_record(str(folder / "a-1.dist-info")), "a-1.dist-info/RECORD"),
        b'a.py,sha256=x,1\n"b,c.py",,\n',
    ),
    "metadata": (
        _file(lambda folder, _: read_distribution(str(folder / "a-1.dist-info")), "a-1.dist-info/METADATA"),
        b"Metadata-Version: 2.1\nName: a\nVersion: 1\nRequires-Dist: b (>=1); extra == 'x'\n\ntext\n",
    ),
    "wheel": (
        _file(lambda _, path: read_identity(path), "a-1-py3-none-any.whl"),
        wheel_bytes("a", "1", {"a/__init__.py": "x = 1\n"}),
    ),
    "elf": (_file(lambda _, path: read_elf(path), "a.so"), Path(sys.executable).resolve().read_bytes()[:20_000]),
    "gpu-code": (
        _file(lambda _, path: read_architectures(path), "a.so"),
        Path(sys.executable).resolve().read_bytes()[:20_000],
    ),
    "answer": (_pieces, b"node1 1/1 eyJzY2hlbWEiOiAxfQ==\n0: node1 1/2 eyJz\n"),
}
