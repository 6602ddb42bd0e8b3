# SPDX-License-Identifier: BSD-2-Clause
"""plot - the results as one SVG of four panels, drawn by gnuplot."""
import os
import subprocess

from .process import Unavailable, program

COLOURS = {"brood": "#1b7837", "floor": "#999999", "nginx": "#2166ac",
           "apache": "#b2182b", "gunicorn": "#e08214", "uwsgi": "#8073ac",
           "brood-log": "#7fbf7b", "floor-static": "#cccccc"}


def _quoted(text):
    return '"%s"' % text.replace('"', "'")


def _bars(title, unit, names, groups, value, log=False):
    """Clustered bars: a cluster for each group, a bar for each name."""
    data = []
    for key, label in groups:
        cells = [value(name, key) for name, _ in names]
        data.append(" ".join([_quoted(label)] + [
            "NaN" if c is None else "%g" % c for c in cells]))
    plots = ", ".join(
        "$data using %d%s title %s linecolor rgb %s" % (
            i + 2, ":xtic(1)" if i == 0 else "", _quoted(label),
            _quoted(COLOURS[name]))
        for i, (name, label) in enumerate(names))
    return """
set title %s
set ylabel %s
set xrange [-0.7:%g]
%s
$data << EOD
%s
EOD
plot %s
undefine $data
""" % (_quoted(title), _quoted(unit), len(groups) - 0.3,
       "set logscale y; set yrange [*:*]" if log
       else "unset logscale y; set yrange [0:*]", "\n".join(data), plots)


def _panels(results):
    panels = []
    load = results.get("load", [])
    if load:
        names = [(n, p["label"]) for n, p in load[0]["servers"].items()]
        groups = [(i, "%s\\n%d" % ("keep-alive" if s["keep_alive"]
                                   else "one each", s["connections"]))
                  for i, s in enumerate(load)]

        def of(key):
            return lambda name, i: (
                load[i]["servers"].get(name, {}).get("median", {}).get(key))

        panels.append(_bars("processor time of all server processes",
                            "microseconds per request", names, groups,
                            of("cpu_us_per_request"), log=True))
        panels.append(_bars("throughput", "requests/s", names, groups,
                            of("requests_per_s")))
    if "respawn" in results:
        r = results["respawn"]
        names = [(n, v["label"]) for n, v in r.items() if "median_ms" in v]
        panels.append(_bars(
            "kill -9 of a worker to its replacement's answer", "ms", names,
            [("median_ms", "median"), ("p99_ms", "p99")],
            lambda name, key: r[name][key], log=True))
    if "memory" in results:
        m = results["memory"]
        names = [(n, v["label"]) for n, v in m.items() if "fresh" in v]
        panels.append(_bars(
            "memory of an idle worker", "KiB", names,
            [("private_kib", "private"), ("pss_kib", "PSS")],
            lambda name, key: m[name]["fresh"][key], log=True))
    return panels


def draw(results, path):
    """Writes the picture; returns None, or why there is none."""
    panels = _panels(results)
    if not panels:
        return "nothing to draw"
    try:
        gnuplot = program("gnuplot")
    except Unavailable as e:
        return str(e)
    columns = min(2, len(panels))
    script = """
set terminal svg size %d,%d font "sans,11" background "#ffffff"
set output %s
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.9 border rgb "#ffffff"
set grid ytics linecolor rgb "#dddddd"
set border 3
set xtics nomirror
set ytics nomirror
set key outside right center vertical Left reverse
set multiplot layout %d,%d
%s
unset multiplot
""" % (760 * columns, 400 * ((len(panels) + 1) // 2), _quoted(path),
       (len(panels) + 1) // 2, columns, "\n".join(panels))
    done = subprocess.run([gnuplot], input=script.encode(),
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode != 0 or not os.path.exists(path):
        return done.stderr.decode(errors="replace")
    return None
