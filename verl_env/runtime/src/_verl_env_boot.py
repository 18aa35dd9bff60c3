# ruff: noqa: INP001
# The start-up hook: this module is itself the import finder, and every interpreter start of the environment pays for
# it. It imports nothing but sys and waits for vLLM; all else is in verl_env_runtime.hook. Neither docstrings nor a
# function that could be spared: they are read at every start. verl_env.pth imports it; verl_env.start (PEP 829) must
# name a callable, and importing is all that it is to do, so it names find_spec, which does nothing without a name.
import sys


def find_spec(name="", path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
    if name == "vllm":
        try:
            from verl_env_runtime.hook import arm  # noqa: PLC0415

            return arm()
        except BaseException:  # noqa: BLE001  a SystemExit here would end the user's process
            return None
    return None


sys.meta_path.insert(2, sys.modules[__name__])  # after the finders of built-in and frozen modules
if "vllm" in sys.modules:  # a .pth file that sorts before ours has imported it
    find_spec("vllm")  # type: ignore[no-untyped-call]
