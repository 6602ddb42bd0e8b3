# SPDX-License-Identifier: BSD-2-Clause
"""
proc - what /proc says about a family of processes.

Processor time is that of the master, of every living descendant and of every
descendant that somebody in the family has waited for, so it loses nothing when
workers come and go. For the living it is schedstat's, in nanoseconds: utime
and stime of stat are the same time in whole ticks, and the remainders of 272
Apache processes add up to more than a run takes. The reaped are in the cutime
and cstime of who reaped them, where the sum was made in nanoseconds. Memory
comes from smaps_rollup.
"""
import os

TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat after the name; None once it is gone."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def table():
    """pid -> fields of every process, zombies included."""
    rows = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields:
                rows[int(name)] = fields
    return rows


def family(root, rows=None):
    """The pids of root and all its descendants, root first."""
    rows = rows or table()
    children = {}
    for pid, fields in rows.items():
        children.setdefault(int(fields[1]), []).append(pid)
    found = [root] if root in rows else []
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def _title(pid):
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def workers(root, titles=("",)):
    """The direct children of root that are alive, and whose names begin with
    one of these."""
    return sorted(pid for pid, fields in table().items()
                  if int(fields[1]) == root and fields[0] != "Z"
                  and _title(pid).startswith(tuple(titles)))


def _lived_seconds(pid, fields):
    """
    What a living process has used; from stat where there is no schedstat, and
    for one of several threads, as schedstat is that of the first.
    """
    try:
        if int(fields[17]) > 1:
            raise OSError
        with open("/proc/%d/schedstat" % pid) as f:
            return int(f.read().split()[0]) / 1e9
    except (OSError, IndexError):
        return (int(fields[11]) + int(fields[12])) * TICK_S


def cpu_seconds(root):
    """The family's processor time, reaped members included."""
    rows = table()
    return sum(_lived_seconds(pid, rows[pid])
               + (int(rows[pid][13]) + int(rows[pid][14])) * TICK_S
               for pid in family(root, rows))


def system_share(root):
    """How much of its time so far the family spent in the kernel, roughly."""
    rows = table()
    pids = family(root, rows)
    user = sum(int(rows[p][11]) + int(rows[p][13]) for p in pids)
    system = sum(int(rows[p][12]) + int(rows[p][14]) for p in pids)
    return system / max(user + system, 1)


def machine_busy_seconds():
    """All processor time but idle and iowait, of the whole machine."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return (sum(v) - v[3] - v[4]) * TICK_S


def memory_kib(pid):
    """(PSS, private, RSS) of one process, in KiB."""
    kib = {}
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            key, _, rest = line.partition(":")
            if rest.endswith("kB\n"):
                kib[key] = int(rest.split()[0])
    return (kib["Pss"], kib["Private_Clean"] + kib["Private_Dirty"],
            kib["Rss"])


def family_memory_kib(root):
    """The same of the family together."""
    return tuple(map(sum, zip(*map(memory_kib, family(root)))))
