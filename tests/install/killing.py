"""Processes that are killed: after some time, or by themselves at a certain point."""

import os
import signal
import time


def fork(work):
    """Does some work in a process of its own, in a session of its own; exit code 0 when it ends well."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        work()
        code = 0
    finally:
        os._exit(code)


def kill_after(pid, seconds):
    """Kills a process after some time, if it is still there; its exit code."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def after(function):
    def then_die(*arguments, **named):
        function(*arguments, **named)
        die()

    return then_die
