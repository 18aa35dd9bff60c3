"""Starts verl-env from this one file: for nodes that have a Python and nothing else, no pip and no network.

    python3 verl-env.pyz plan --stack vllm

At its first start it unpacks itself into a virtual environment of its own in ``$XDG_CACHE_HOME/verl-env/app`` (else
``~/.cache``, else a private directory below ``$TMPDIR``), by one rename.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile

OLDEST = (3, 10)
START = "from verl_env.cli.main import run; run()"


def main():
    """Becomes verl-env; gives an exit code where that cannot be."""
    reason = None
    archive = os.path.dirname(os.path.abspath(__file__))
    with zipfile.ZipFile(archive) as file:
        digest, pythons = file.read("digest").decode(), file.read("pythons").decode().split()
        python = "%d.%d" % sys.version_info[:2]
        if sys.version_info < OLDEST or python not in pythons:
            return fail("this file brings verl-env for Python %s, and this is %s" % (", ".join(pythons), python))
        for place in places():
            home = os.path.join(place, "%s-%s" % (digest, python))
            try:
                if not usable(home):
                    make(home, file, python)
            except (OSError, subprocess.CalledProcessError) as error:
                reason = error
                continue
            program = os.path.join(home, "bin", "python")
            os.execv(program, [program, "-I", "-c", START, *sys.argv[1:]])
    return fail("verl-env cannot be unpacked: %s; name a directory that may be written: XDG_CACHE_HOME=DIR" % reason)


def fail(message):
    """Says why not."""
    print("error[zipapp]: %s" % message, file=sys.stderr)
    return 2


def places():
    """Where it may be unpacked, the best first; no path that another user could have made."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = os.environ.get("HOME", "")
    if os.path.isabs(base):
        yield os.path.join(base, "verl-env", "app")
    elif os.path.isabs(home) and os.path.isdir(home):
        yield os.path.join(home, ".cache", "verl-env", "app")
    yield os.path.join(tempfile.gettempdir(), "verl-env-%d" % os.getuid())


def usable(home):
    """Whether it is unpacked there, and nobody else may have written it."""
    if not os.path.exists(os.path.join(home, "bin", "python")):
        return False
    for path in (os.path.dirname(home), home):
        status = os.lstat(path)
        if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError("%s belongs to somebody else, or others may write it" % path)
    return True


def make(home, archive, python):
    """Unpacks it: a virtual environment without pip, and the files for this Python."""
    os.makedirs(os.path.dirname(home), mode=0o700, exist_ok=True)
    room = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(home))
    try:
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [sys.executable, "-I", "-m", "venv", "--without-pip", room]
        subprocess.run(command, env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        site = os.path.join(room, "lib", "python%s" % python, "site-packages")
        for prefix in ("all/", "only-%s/" % python):
            for name in archive.namelist():
                if name.startswith(prefix):
                    path = os.path.join(site, *name[len(prefix) :].split("/"))
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with archive.open(name) as source, open(path, "wb") as to:
                        shutil.copyfileobj(source, to)
        compile_all = [os.path.join(room, "bin", "python"), "-I", "-m", "compileall", "-q", "-j", "0", site]
        subprocess.run(compile_all, env=env, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.chmod(room, 0o700)
        try:
            os.rename(room, home)
        except OSError:
            if not usable(home):  # else another start was faster
                raise
    finally:
        shutil.rmtree(room, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
