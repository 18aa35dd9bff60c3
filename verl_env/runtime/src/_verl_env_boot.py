# ruff: noqa: INP001
# The start-up hook: this module is itself the import finder, and every interpreter start of the environment pays for
# it. It imports nothing but sys and waits for vLLM; all else is in verl_env_runtime.hook. Neither docstrings nor a
# function that could be spared: they are read at every start. verl_env.pth imports it; verl_env.start (PEP 829) must
# name a callable, and importing is all that it is to do, so it names find_spec, which does nothing without a name.
# What is wrong with a damaged copy shows where CPython passes over it, when this is imported, not at each import of
# the user: the finder is asked once before it is put there, and its name is compared twice, as one flipped bit makes
# "<=" of "==". tests/faults/test_hook.py flips every one.
import sys


def find_spec(name="", path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
    try:
        if name == "vllm" == name:
            from verl_env_runtime.hook import arm  # noqa: PLC0415

            return arm()
    except BaseException:  # noqa: BLE001, S110  a SystemExit here would end the user's process
        pass


find_spec("sys", None, None)  # type: ignore[no-untyped-call]
sys.meta_path.insert(2, sys.modules[__name__])  # after the finders of built-in and frozen modules
if "vllm" in sys.modules:  # a .pth file that sorts before ours has imported it
    find_spec("vllm")  # type: ignore[no-untyped-call]
