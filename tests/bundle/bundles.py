"""Small bundles made of files alone."""

import hashlib
import tarfile

from verl_env.bundle.manifest import to_bytes
from verl_env.bundle.model import MANIFEST, File, Manifest, NativeWay, Planned

CONTENTS = {
    "wheels/a-1-py3-none-any.whl": b"a" * 300,
    "wheels/b-1-py3-none-any.whl": b"b" * 300,
    "tool/verl_env-0-py3-none-any.whl": b"tool",
    "make-verl-env.py": b"pass\n",
}
PLAN = Planned(
    "vllm", "verl9/app.demo", "3.12", "x86_64", "0" * 64, 2, 10, "2.28", (NativeWay("n", "1", "skip", "none"),),
    machine={"schema": 1, "nvidia": None},
)  # fmt: skip


def manifest(contents=CONTENTS, plans=(PLAN,)):
    files = [
        File(path, len(data), hashlib.sha256(data).hexdigest(), "tool" if path.startswith("tool") else "package")
        for path, data in contents.items()
    ]
    return Manifest(tuple(sorted(files, key=lambda file: file.path)), tuple(plans), "0.1.0", ("3.12",))


def write(root, contents=CONTENTS, plans=(PLAN,)):
    for path, data in {**contents, MANIFEST: to_bytes(manifest(contents, plans))}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def pack(root, file):
    with tarfile.open(file, "w") as tar:
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            tar.add(path, path.relative_to(root).as_posix())
    return file
