"""Runs in an interpreter under ``-S``: flips each bit of a start-up file in turn, and starts on it in a fork.

A fork does what a start does, CPython's own ``site.main()`` with all ``.pth`` files, at a tenth of the time. Flips that
change nothing of what a module does (comments, blanks) are passed over. Of a number of flips as many are tried, in the
order of a seed; of 0 all. Prints how many were tried, and those that the program did not survive, as
``[place, bit, status]``.
"""

import json
import os
import random
import signal
import site
import sys
import warnings


def does(content):
    """What a module's source says to do; None where it is none."""
    try:
        return _does(compile(content, "x", "exec", dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _does(code):
    parts = tuple(_does(each) if hasattr(each, "co_code") else repr(each) for each in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, code.co_cellvars, code.co_name, parts


def starts():
    """The wait status of a process that starts here."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    signal.alarm(30)
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        site.main()
        import colorsys  # noqa: F401  the user's own imports

        code = 0
    finally:
        os._exit(code)


def main(path, most, seed):
    with open(path, "rb") as opened:  # noqa: PTH123
        whole = opened.read()
    good, tried, failed = does(whole), 0, []
    places = [(place, bit) for place in range(len(whole)) for bit in range(8)]
    if most:
        random.Random(seed).shuffle(places)
    for place, bit in places:
        content = bytearray(whole)
        content[place] ^= 1 << bit
        there = does(bytes(content)) if path.endswith(".py") else content
        if there is None or there == good:
            continue
        with open(path, "wb") as opened:  # noqa: PTH123
            opened.write(content)
        tried += 1
        status = starts()
        if status:
            failed.append([place, bit, status])
        if tried == most:
            break
    print(json.dumps([tried, failed]))


warnings.simplefilter("ignore")
main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
