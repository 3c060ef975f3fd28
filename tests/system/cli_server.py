"""Runs the command line again and again in processes forked from one that has imported it: ``python -m`` this.

Each command is a process of its own, with its own folder, environment, output and exit code; only the second that the
imports take is spent once. One line of JSON in for each command, its exit code out.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import sys
import time
from typing import Any

import cli
import commands

PATIENCE = 90.0


def serve() -> None:
    """Serve until stdin ends."""
    for module in pkgutil.iter_modules(commands.__path__, "commands."):
        importlib.import_module(module.name)
    gc.freeze()  # what is imported stays where it is, and is not copied into every child
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            # Without the end of an interpreter, which costs as much as its start; `Desk.run_program` has that.
            os._exit(_command(asked))
        print(_code_of(child), flush=True)  # noqa: T201 - the answer


def _command(asked: dict[str, Any]) -> int:
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["env"])
    for number, path in ((1, asked["out"]), (2, asked["err"])):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["campaigner", *asked["arguments"]]
    try:
        return cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _code_of(child: int) -> int:
    deadline = time.monotonic() + PATIENCE
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, 9)
        time.sleep(0.01)


if __name__ == "__main__":
    serve()
