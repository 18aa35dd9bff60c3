"""Programs that stand for those of Slurm, and answer as 22.05 was seen to answer; each node is a task on this host."""

import os
import stat
import sys

#: As srun: every task is run, labelled; ``DEAD`` nodes never answer, and the exit code is 0 all the same.
_SRUN = """
import os, subprocess, sys, threading
argv = sys.argv[1:]
nodelist = next(word.split("=", 1)[1] for word in argv if word.startswith("--nodelist="))
names = subprocess.run(["scontrol", "show", "hostnames", nodelist], stdout=subprocess.PIPE).stdout.decode().split()
command = [word for word in argv if not word.startswith("--")]
command = argv[argv.index(command[0]):]
lock = threading.Lock()
def task(number, name):
    if name in os.environ.get("LAB_DEAD", "").split(","):
        with lock: sys.stderr.write(f"srun: error: Node failure on {name}\\n")
        return
    env = {**os.environ, "SLURMD_NODENAME": name, "SLURM_PROCID": str(number)}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = subprocess.run(command, env=env, **pipes)
    for stream, data in ((sys.stdout, done.stdout), (sys.stderr, done.stderr)):
        for line in data.decode().splitlines():
            for start in range(0, max(1, len(line)), 1024):
                with lock: stream.write(f"{number}: {line[start:start + 1024]}\\n")
threads = [threading.Thread(target=task, args=pair) for pair in enumerate(names)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""

_SCONTROL = """
import os, re, sys
words = sys.argv[1:]
if words[1] == "hostnames":
    for part in re.findall(r"[^,\\[]+(?:\\[[^\\]]*\\])?", words[2]):
        found = re.match(r"(.*)\\[(.*)\\]", part)
        if not found:
            print(part); continue
        for piece in found[2].split(","):
            low, _, high = piece.partition("-")
            for number in range(int(low), int(high or low) + 1):
                print(f"{found[1]}{number:0{len(low)}d}")
elif words[1] == "node":
    print(f"NodeName={words[-1]} Arch=x86_64 NodeAddr=127.0.0.1 NodeHostName=host")
elif words[1].startswith("hostlist"):
    print("folded[" + words[2] + "]")
"""

_SALLOC = """
import os, signal, sys, time
wanted = next(int(word.split("=")[1]) for word in sys.argv if word.startswith("--nodes="))
if wanted > len(os.environ["LAB_NODES"].split(",")):
    sys.stderr.write("salloc: Pending job allocation 7\\n")
    sys.stderr.flush()
    time.sleep(600)
if os.environ.get("LAB_REFUSES"):
    sys.exit("salloc: error: Job submit/allocate failed: " + os.environ["LAB_REFUSES"])
asked = next((word.split("=", 1)[1] for word in sys.argv if word.startswith("--nodelist=")), os.environ["LAB_NODES"])
open(os.environ["LAB_CANCELLED"] + ".job", "w").write(asked)
sys.stderr.write("salloc: Granted job allocation 7\\n")
"""

_SQUEUE = """
import os, sys
if "%N" in sys.argv:
    print(open(os.environ["LAB_CANCELLED"] + ".job").read())
else:
    print("PENDING|" + os.environ.get("LAB_REASON", "PartitionNodeLimit"))
"""

_SINFO = """
import os
down = dict(pair.split("=") for pair in os.environ.get("LAB_DOWN", "").split(";") if pair)
for name in os.environ["LAB_NODES"].split(","):
    state, _, reason = down.get(name, "idle|none").partition("|")
    print(f"{name}|{state}|{reason}")
"""

_SCANCEL = """
import os, sys
with open(os.environ["LAB_CANCELLED"], "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
"""


def put_slurm(folder, monkeypatch, nodes):
    """Puts the programs on PATH for a cluster of these nodes, and takes this process out of any job."""
    programs = {
        "srun": _SRUN, "scontrol": _SCONTROL, "salloc": _SALLOC, "squeue": _SQUEUE, "sinfo": _SINFO, "scancel": _SCANCEL
    }  # fmt: skip
    for name, text in programs.items():
        path = folder / name
        path.write_text(f"#!{sys.executable} -S\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    for name in list(os.environ):
        if name.startswith("SLURM"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("LAB_NODES", ",".join(nodes))
    monkeypatch.setenv("LAB_CANCELLED", str(folder / "cancelled"))
