# SPDX-License-Identifier: BSD-2-Clause
"""machine - what was measured on and with; no names of hosts, no paths."""
import os
import platform
import re
import subprocess

from .process import Unavailable, program


def _first(pattern, text, otherwise="unknown"):
    found = re.search(pattern, text, re.M)
    return found.group(1).strip() if found else otherwise


def _read(path):
    try:
        with open(path) as f:
            return f.read()
    except OSError:
        return ""


def _version(pattern, *argv):
    try:
        argv = [program(argv[0])] + list(argv[1:])
        done = subprocess.run(argv, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return _first(pattern, done.stdout.decode(errors="replace"))
    except (Unavailable, OSError):
        return "not installed"


def packages(**names):
    """Versions of what Debian has packaged, by any name."""
    def version(package):
        try:
            done = subprocess.run(
                ["dpkg-query", "-W", "-f", "${Version}", package],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL)
            return done.stdout.decode().strip() or "not installed"
        except OSError:
            return "unknown"

    return {name: version(package) for name, package in names.items()}


def describe(env):
    def shown(cpus):
        return ",".join(str(c) for c in sorted(cpus))

    return {
        "processor": _first(r"^model name\s*:\s*(.*)$",
                            _read("/proc/cpuinfo"), platform.machine()),
        "processors": env.cpus,
        "servers_on": shown(env.server_cpus),
        "client_on": shown(env.client_cpus),
        "hypervisor": "hypervisor" in _read("/proc/cpuinfo"),
        "memory_mib": int(_first(r"^MemTotal:\s*(\d+)",
                                 _read("/proc/meminfo"), "0")) // 1024,
        "kernel": _first(r"^(\d+\.\d+\.\d+)", platform.release(),
                         platform.release()),
        "system": _first(r'^PRETTY_NAME="?([^"\n]*)',
                         _read("/etc/os-release")),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {
            "brood": _version(r"(\d[\w.]*)", env.broodd, "-V"),
            "libmicrohttpd": _version(r"(\S+)", "pkg-config",
                                      "--modversion", "libmicrohttpd"),
            "nginx": _version(r"nginx/(\S+)", "nginx", "-v"),
            "apache": _version(r"Apache/(\S+)", "apache2", "-v"),
            "gunicorn": _version(r"version (\S+?)\)?$", "gunicorn",
                                 "--version"),
            "uwsgi": _version(r"(\d[\w.-]*)", "uwsgi-core", "--version"),
            "wrk": _version(r"wrk (?:debian/)?(\S+)", "wrk", "-v"),
        },
    }
