# SPDX-License-Identifier: BSD-2-Clause
"""
process - programs that we start in the foreground, and end.

Each is bound to us by its parent-death signal; what a dying one leaves behind
is adopted by us (env is a subreaper) and ended with it, by pid.
"""
import ctypes
import os
import shutil
import signal
import socket
import subprocess

from . import proc

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """The program is not installed, or cannot do this."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name, *more):
    """The path of a program, also where a user's PATH does not look."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    for candidate in (name,) + more:
        found = shutil.which(candidate, path=path)
        if found:
            return found
    raise Unavailable("%s is not installed" % name)


def start_bound(argv, cpus=None, **popen):
    """
    Popen whose process ends with us and keeps to some processors. In a session
    of its own: a Ctrl-C is for us alone, and Apache ends its workers with a
    signal to its process group.
    """
    parent = os.getpid()

    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        if cpus:
            os.sched_setaffinity(0, cpus)

    return subprocess.Popen(argv, preexec_fn=prepare, start_new_session=True,
                            stdin=subprocess.DEVNULL, **popen)


def kill_and_reap(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


class Program:
    """One of them, with the family that it may have."""
    name = label = ""
    stop_signal = signal.SIGTERM
    stop_limit_s = 30

    def __init__(self, env):
        self.env = env
        self.process = None
        # files that have what it said
        self.outputs = []

    def launch(self, argv, output, **popen):
        """Starts it; what it prints goes to a file."""
        self.outputs.insert(0, output)
        with open(output, "wb") as out:
            self.adopt(start_bound(argv, self.env.server_cpus, stdout=out,
                                   stderr=subprocess.STDOUT, **popen))

    def adopt(self, process):
        self.process = process
        self.env.running.append(self)

    def output(self):
        """The end of what it printed and logged."""
        text = ""
        for path in self.outputs:
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()[-2000:]
        return text.strip()

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        """Ends the whole family, by pid; what lingers is killed."""
        if self.process is None:
            return
        pids = proc.family(self.pid)
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(self.stop_limit_s)
            except subprocess.TimeoutExpired:
                pids = proc.family(self.pid)
                self.process.kill()
                self.process.wait()
        rows = proc.table()
        for pid in pids[1:]:
            # ours by descent, or now by adoption: we are the subreaper
            if pid in rows and int(rows[pid][1]) == os.getpid():
                kill_and_reap(pid)
        self.process = None
        self.env.running.remove(self)
