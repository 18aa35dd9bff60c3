# ruff: noqa: INP001
# The start-up hook: this module is itself the import finder, and every interpreter start of the environment pays for
# it. It imports nothing but sys and waits for vLLM; all else is in verl_env_runtime.hook. No docstrings: they are read
# at every start too.
import sys


def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, ARG001
    if name == "vllm":
        try:
            from verl_env_runtime.hook import arm  # noqa: PLC0415

            return arm()
        except BaseException:  # noqa: BLE001  a SystemExit here would end the user's process
            return None
    return None


def install():  # type: ignore[no-untyped-def]  # noqa: ANN202
    me = sys.modules[__name__]
    if me not in sys.meta_path:
        sys.meta_path.insert(2, me)  # after the finders of built-in and frozen modules


install()  # type: ignore[no-untyped-call]
