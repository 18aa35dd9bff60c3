"""``python -m verl_env``: the command line, isolated as ``bin/verl-env`` is (``launch.sh``).

What PYTHONPATH, the user's packages or the current directory hold has a say until this file runs, and no longer: it
starts the same interpreter again with ``-I``, by the path of this file.
"""

import os
import sys

if __name__ == "__main__":
    if not sys.flags.isolated:
        os.execv(sys.executable, [sys.executable, "-I", __file__, *sys.argv[1:]])  # noqa: S606 (no shell is the point)
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 (as the start-up has it)
    if home not in sys.path:
        packages = (number for number, entry in enumerate(sys.path) if entry.endswith("-packages"))
        sys.path.insert(next(packages, len(sys.path)), home)
    from verl_env.cli.main import run

    run()
