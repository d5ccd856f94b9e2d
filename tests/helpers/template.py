"""An interpreter that has imported the package and waits to become a script.

Run as a file, with the number of a socket: it forks for each request, and the child
does what a new interpreter would do. See `interpreters`.
"""

import contextlib
import gc
import importlib
import importlib.machinery
import json
import os
import random
import runpy
import select
import socket
import sys
import types
import warnings
from pathlib import Path

# Standard input, output and error, status, working directory.
N_FILES = 5
MAX_BYTES = 1 << 20


def serve(control):
    """Fork for each request; return it in the child, and None at the end."""
    statuses = {}  # by pidfd: the child's number, and where its end is told
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd != control.fileno():
                poll.unregister(fd)
                pid, status = statuses.pop(fd)
                tell(status, status_of(pid))
                os.close(status)
                os.close(fd)
                continue
            message, files, *_ = socket.recv_fds(control, MAX_BYTES, N_FILES)
            if not message:
                return None
            request = json.loads(message)
            if "reap" in request:
                os.waitpid(request["reap"], 0)
                continue
            *standard, status, directory = files
            with warnings.catch_warnings():
                # Of OpenBLAS's threads, which it stops for a fork.
                warnings.simplefilter("ignore")
                pid = os.fork()
            if pid == 0:
                for other in [*statuses, *(status for _, status in statuses.values())]:
                    os.close(other)
                os.close(status)
                os.fchdir(directory)
                os.close(directory)
                for number, fd in enumerate(standard):
                    os.dup2(fd, number)
                    os.close(fd)
                return request
            tell(status, pid)
            for fd in (*standard, directory):
                os.close(fd)
            pidfd = os.pidfd_open(pid)
            statuses[pidfd] = pid, status
            poll.register(pidfd, select.POLLIN)


def status_of(pid):
    """Return the status of a process that has ended, and leave its number taken.

    Until somebody asks for it, as with any child.
    """
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if ended.si_code == os.CLD_EXITED:
        return ended.si_status << 8
    return ended.si_status


def tell(status, number):
    """Write a number to a process that may not be there any more."""
    with contextlib.suppress(OSError):
        os.write(status, f"{number}\n".encode())


def become(arguments, environment, path):
    """Do what an interpreter does that starts with these arguments."""
    os.environ.clear()
    os.environ.update(environment)
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    what, *rest = arguments
    beside = str(Path(what).resolve().parent)
    sys.path[:] = [{"-c": "", "-m": str(Path.cwd())}.get(what, beside)]
    given = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.path += (str(Path(folder).absolute()) for folder in given)
    sys.path += path
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    main = types.ModuleType("__main__")
    main.__builtins__ = sys.modules["builtins"]
    sys.modules["__main__"] = main
    if what == "-m":
        sys.argv[:] = ["-m", *rest[1:]]
        runpy._run_module_as_main(rest[0])
        return
    if what == "-c":
        sys.argv[:] = ["-c", *rest[1:]]
        code = compile(rest[0], "<string>", "exec")
    else:
        sys.argv[:] = arguments
        main.__file__ = str(Path(what).absolute())
        main.__cached__ = None
        main.__loader__ = importlib.machinery.SourceFileLoader("__main__", what)
        code = main.__loader__.source_to_code(main.__loader__.get_data(what), what)
    exec(code, vars(main))


if __name__ == "__main__":
    control = socket.socket(fileno=int(sys.argv[1]))
    path = sys.path[1:]
    sys.path[0] = str(Path(__file__).parents[2])
    importlib.import_module("resumable_search._keys.fingerprint")

    gc.collect()
    gc.freeze()
    control.send(b"ready")
    request = serve(control)
    if request is not None:
        control.close()
        become(request["arguments"], request["environment"], path)
