# SPDX-License-Identifier: BSD-2-Clause
"""
servers - brood and its peers, each a foreground process we start and stop.

Every server listens on a free port of 127.0.0.1, keeps its files in a folder
of its own under the run's private temp folder, logs no requests unless it is
the row that does, and answers GET /hello with the same JSON. A class holds
one server's command line and config and nothing else; what is common (start,
wait until it answers) is in Server, and its end in process.Program.
"""
import os
import shutil
import socket
import subprocess
import time

from . import proc
from .process import Program, Unavailable, free_port, program

BODY = b'{"message":"hello, world!"}'
PATH = "/hello"
START_LIMIT_S = 30

# When we are root the servers drop to this user, as they would in service.
ROOT = os.geteuid() == 0
USER, GROUP = "nobody", "nogroup"


def fetch(port, timeout=5.0):
    """One request on its own connection: (head, body), both bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                  b"Connection: close\r\n\r\n" % PATH.encode())
        parts = []
        while True:
            part = s.recv(65536)
            if not part:
                break
            parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return head, body


class Server(Program):
    # what a reader of the table has to know about this row
    note = ""
    # False where every answer ends its connection
    keeps_alive = True
    # what the names of the workers begin with, where others are beside them
    titles = ("",)
    stop_limit_s = 10

    def __init__(self, env, workers, connections=0, **options):
        super().__init__(env)
        self.workers = workers
        self.connections = connections
        self.options = options
        self.port = free_port()
        self.folder = os.path.join(
            env.temp, "%s-%d" % (self.name, self.port))
        os.mkdir(self.folder, 0o755)
        self.outputs = [self.path("error.log"), self.path("brood.log")]
        self.write("hello.json", BODY)
        if ROOT:
            shutil.chown(self.folder, USER, GROUP)

    def argv(self):
        raise NotImplementedError

    def expected_workers(self):
        return self.workers

    def pids(self):
        """Of its workers."""
        return proc.workers(self.pid, self.titles)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        mode = "wb" if isinstance(text, bytes) else "w"
        with open(self.path(name), mode) as f:
            f.write(text)

    def start(self):
        self.launch(self.argv(), self.path("output"), cwd=self.folder)
        self.await_answer()
        return self

    def await_answer(self):
        """Until it answers rightly and has all of its workers."""
        limit = time.monotonic() + START_LIMIT_S
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("%s ended at start: %s"
                                   % (self.name, self.output()))
            try:
                head, body = fetch(self.port)
                if len(self.pids()) >= self.expected_workers():
                    break
            except OSError:
                pass
            if time.monotonic() > limit:
                raise RuntimeError("%s does not come up: %s"
                                   % (self.name, self.output()))
            # the peers have no way to tell that they are ready
            time.sleep(0.02)
        if not head.startswith(b"HTTP/1.1 200") or body != BODY:
            raise RuntimeError("%s answers %r: %s"
                               % (self.name, head[:60], self.output()))
        self.answer_bytes = len(head) + 4 + len(body)


def pool(n):
    """The keys of a pool of so many workers, no more and no less."""
    return "start = %d; min_spare = 0; max_spare = 1024; max = %d;" % (n, n)


class Brood(Server):
    """With the module `hello`, or what a class made of it adds."""
    name = label = "brood"
    titles = ("bench: rest",)
    access = False
    # more routes and groups of the config, each a text of its own
    routes = ""
    groups = ""

    def __init__(self, env, workers, connections=0, **options):
        super().__init__(env, workers, connections, **options)
        # The child loads a module after it dropped its privileges, and the
        # checkout may be where only its owner can read.
        for name, path in self.modules().items():
            shutil.copy(path, self.path(name + ".so"))
        self.write("brood.conf", self.config())

    def modules(self):
        """name -> file"""
        return {"hello": self.env.brood_module}

    def config(self):
        o = self.options
        user = ('user = "%s"; group = "%s";' % (USER, GROUP)) if ROOT else ""
        modules = ", ".join(
            '{ name = "%s"; path = "%s/%s.so"; }' % (name, self.folder, name)
            for name in self.modules())
        return """
service = { name = "bench"; run_dir = "%s/run"; state_dir = "%s/state";
  stop_timeout = 5.0; %s };
log = { target = "%s/brood.log"; level = "info"; access = %s; };
modules = ( %s );
rest = {
  listen = [ "127.0.0.1:%d" ];
  idle_timeout = 60.0;
  max_requests = %d;
  workers = { start = %d; min_spare = %d; max_spare = %d; max = %d; };
  routes = ( %s{ method = "GET"; path = "%s"; handler = "hello.hello"; } );
};
%s""" % (self.folder, self.folder, user, self.folder,
         "true" if self.access else "false", modules, self.port,
         o.get("max_requests", 0), self.workers, o.get("min_spare", 0),
         o.get("max_spare", 1024), o.get("max", self.workers), self.routes,
         PATH, self.groups)

    def argv(self):
        return [self.env.broodd, "-c", self.path("brood.conf"), "-f"]

    def ctl(self, *args, timeout=120):
        """Runs broodctl: (exit status, output, seconds)."""
        before = time.monotonic()
        done = subprocess.run(
            [self.env.broodctl, "-c", self.path("brood.conf")] + list(args),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=timeout)
        return (done.returncode, done.stdout.decode(errors="replace"),
                time.monotonic() - before)


class BroodLog(Brood):
    name = "brood-log"
    label = "brood, access log on"
    access = True


class Floor(Server):
    name = "floor"
    label = "bare libmicrohttpd"
    note = ("the floor: single-threaded processes, libmicrohttpd's own epoll "
            "set, a response made for each request, the same headers")
    mode = []

    def argv(self):
        return [self.env.floor, str(self.port), str(self.workers)] + self.mode


class FloorStatic(Floor):
    name = "floor-static"
    label = "libmicrohttpd, constant"
    note = "one response object for all requests, without X-Request-Id"
    mode = ["static"]


class Nginx(Server):
    name = label = "nginx"
    note = "`return 200`"

    def argv(self):
        binary = program("nginx")
        user = "user %s %s;" % (USER, GROUP) if ROOT else ""
        temps = "\n".join(
            "  %s_temp_path %s/%s;" % (kind, self.folder, kind) for kind in
            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.write("nginx.conf", """
daemon off; %s
worker_processes %d;
pid %s/nginx.pid;
error_log %s/error.log warn;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_timeout 60s;
  keepalive_requests 1000000000;
%s
  server {
    listen 127.0.0.1:%d;
    location = %s {
      default_type application/json;
      return 200 '%s';
    }
  }
}
""" % (user, self.workers, self.folder, self.folder, temps, self.port, PATH,
            BODY.decode()))
        return [binary, "-e", self.path("error.log"),
                "-p", self.folder, "-c", self.path("nginx.conf")]


class Apache(Server):
    name = "apache"
    label = "Apache prefork"
    note = ("a C module; it has no workers beyond one process a connection, "
            "so it runs as many as there are connections and 16 spare")

    def expected_workers(self):
        return max(self.workers, self.connections + 16 if self.connections
                   else 0)

    def argv(self):
        binary = program("apache2", "httpd")
        if not self.env.apache_module:
            raise Unavailable("apxs is not installed")
        modules = self.env.apache_modules
        # built in or a file of their own, as the packager chose
        shared = "\n".join(
            'LoadModule %s_module "%s/mod_%s.so"' % (name, modules, name)
            for name in ("mpm_prefork", "authz_core")
            if os.path.exists("%s/mod_%s.so" % (modules, name)))
        user = "User %s\nGroup %s" % (USER, GROUP) if ROOT else ""
        shutil.copy(self.env.apache_module, self.path("mod_hello.so"))
        n = self.expected_workers()
        self.write("httpd.conf", """
ServerRoot "%s"
ServerName 127.0.0.1
Listen 127.0.0.1:%d
PidFile "%s/httpd.pid"
DefaultRuntimeDir "%s"
ErrorLog "%s/error.log"
LogLevel warn
%s
LoadModule hello_module "%s/mod_hello.so"
%s
DocumentRoot "%s"
<Directory />
  AllowOverride None
  Options FollowSymLinks
  Require all granted
</Directory>
<Location %s>
  SetHandler hello
</Location>
KeepAlive On
KeepAliveTimeout 60
MaxKeepAliveRequests 0
StartServers %d
MinSpareServers 1
MaxSpareServers %d
ServerLimit %d
MaxRequestWorkers %d
MaxConnectionsPerChild 0
""" % (self.folder, self.port, self.folder, self.folder, self.folder,
            shared, self.folder, user, self.folder, PATH, n, n + 1, n, n))
        return [binary, "-f", self.path("httpd.conf"), "-DFOREGROUND"]


class Gunicorn(Server):
    name = label = "gunicorn"
    note = "sync workers; they close the connection after every answer"
    keeps_alive = False

    def argv(self):
        binary = program("gunicorn", "gunicorn3")
        shutil.copy(self.env.wsgi_app, self.path("hello.py"))
        user = ["-u", USER, "-g", GROUP] if ROOT else []
        return [binary, "-w", str(self.workers), "-k", "sync",
                "-b", "127.0.0.1:%d" % self.port, "--chdir", self.folder,
                "--log-level", "warning"] + user + ["hello:application"]


class Uwsgi(Server):
    name, label = "uwsgi", "uWSGI"
    keeps_alive = False

    def argv(self):
        binary = program("uwsgi", "uwsgi-core")
        shutil.copy(self.env.wsgi_app, self.path("hello.py"))
        user = ["--uid", USER, "--gid", GROUP] if ROOT else []
        return [binary, "--plugin", "python3", "--master", "--die-on-term",
                "--http-socket", "127.0.0.1:%d" % self.port,
                "--processes", str(self.workers), "--disable-logging",
                "--chdir", self.folder, "--wsgi-file", "hello.py",
                "--need-app"] + user


# In the order in which a round runs them.
LOADED = [Brood, Floor, Nginx, Apache, Gunicorn, BroodLog, FloorStatic]
WEIGHED = [Brood, Floor, Nginx, Apache, Gunicorn, Uwsgi]
KILLED = [Brood, Floor, Nginx, Uwsgi, Gunicorn, Apache]
