"""Makes verl-env from this bundle, with nothing but a Python 3.10 or newer: no network, no pip, no venv package.

    python3 BUNDLE/make-verl-env.py DIR
    tar -xOf BUNDLE.tar make-verl-env.py | python3 - DIR BUNDLE.tar

DIR becomes a virtual environment with verl-env, pip and uv; DIR/bin/verl-env is the command. Every file that is used
is compared with the manifest first. This file is part of the bundle and imports nothing of verl-env.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile


def main(arguments: "list[str]") -> int:
    """Makes the environment; gives the exit code."""
    if not arguments or arguments[0].startswith("-") or len(arguments) > 2:
        return fail(__doc__.strip(), 2)
    if sys.version_info < (3, 10):
        return fail(
            "verl-env needs Python 3.10 or newer, and this is %s: run this file with another python3.X"
            % sys.version.split()[0]
        )
    target = os.path.abspath(arguments[0])
    here = globals().get("__file__")
    if len(arguments) > 1:
        bundle = os.path.abspath(arguments[1])
    elif here and os.path.exists(here):
        bundle = os.path.dirname(os.path.abspath(here))
    else:
        return fail("say which bundle: python3 - DIR BUNDLE.tar", 2)
    if os.path.lexists(target) and (not os.path.isdir(target) or os.listdir(target)):
        return fail("%s is there already: give another directory, or remove it" % target)
    with tempfile.TemporaryDirectory(prefix="verl-env-") as room:
        try:
            tool = take(bundle, room)
            make(target, tool, room)
        except (OSError, ValueError, KeyError, tarfile.TarError, subprocess.CalledProcessError) as error:
            shutil.rmtree(target, ignore_errors=True)
            return fail("verl-env could not be made from %s: %s" % (bundle, error))
    print("verl-env is %s" % os.path.join(target, "bin", "verl-env"))
    return 0


def fail(message: str, code: int = 1) -> int:
    """Says why not; gives the exit code."""
    print(message, file=sys.stderr)
    return code


def take(bundle: str, room: str) -> str:
    """Copies the files of the tool into a private directory, each compared with the manifest; gives that directory."""
    opened = Archive(bundle) if os.path.isfile(bundle) else Folder(bundle)
    manifest = json.loads(opened.read("manifest.json"))
    if manifest["format"] > 1:
        raise ValueError("its format is newer than this script")
    python = "%d.%d" % sys.version_info[:2]
    if python not in manifest["tool_pythons"]:
        raise ValueError(
            "it brings verl-env for Python %s, and this is %s" % (", ".join(manifest["tool_pythons"]), python)
        )
    machine = os.uname().machine
    archs = sorted({plan["arch"] for plan in manifest["plans"]})
    if machine not in archs:
        raise ValueError("it is for %s, and this host is %s" % (", ".join(archs), machine))
    place = os.path.join(room, "tool")
    os.mkdir(place)
    for entry in manifest["files"]:
        if entry["role"] != "tool":
            continue
        data = opened.read(entry["path"])
        if len(data) != entry["bytes"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise ValueError("%s is not what its manifest says" % entry["path"])
        with open(os.path.join(place, os.path.basename(entry["path"])), "wb") as file:
            file.write(data)
    return place


def make(target: str, tool: str, room: str) -> None:
    """Makes a virtual environment and installs the tool into it, with the pip of the bundle."""
    pip = next(os.path.join(tool, name) for name in sorted(os.listdir(tool)) if name.startswith("pip-"))
    own = next(os.path.join(tool, name) for name in sorted(os.listdir(tool)) if name.startswith("verl_env-"))
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "UV_"))}
    env = dict(keep, PIP_CONFIG_FILE=os.devnull, PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1", HOME=room)
    pip_command = [python_of(target), os.path.join(pip, "pip"), "install", "--quiet", "--no-index", "--no-cache-dir"]
    pip_command += ["--find-links", tool, "--only-binary", ":all:", own + "[uv]"]
    for command in ([sys.executable, "-I", "-m", "venv", "--without-pip", target], pip_command):
        subprocess.run(command, env=env, cwd=room, check=True, stdin=subprocess.DEVNULL)


def python_of(target: str) -> str:
    """The interpreter of an environment."""
    return os.path.join(target, "bin", "python")


class Folder:
    """A bundle that is a directory."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self, name: str) -> bytes:
        """The contents of a file, which may not lie elsewhere."""
        path = os.path.join(self.path, *name.split("/"))
        if ".." in name.split("/") or os.path.islink(path):
            raise ValueError("%s leads out of the bundle" % name)
        with open(path, "rb") as file:
            return file.read()


class Archive:
    """A bundle that is a tar file."""

    def __init__(self, path: str) -> None:
        self.tar = tarfile.open(path, "r:")
        self.members = {member.name: member for member in self.tar if member.isfile()}

    def read(self, name: str) -> bytes:
        """The contents of a file."""
        file = self.tar.extractfile(self.members[name])
        if file is None:
            raise ValueError("%s is no file" % name)
        return file.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
