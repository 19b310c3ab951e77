"""The servers: how each is configured and started, and where to get it.

A new one is one more entry in `known()`.
"""
import collections
import copy
import functools
import glob
import os
import pathlib
import platform
import pwd
import re
import shutil
import subprocess

from lab import BIN, HERE, PEERS


# What Debian's line of a wrapped service says; usherd knows it by its name.
TCPD = PEERS / "tcpd/usr/sbin/tcpd"
SERVED, REFUSED = "served", "refused"


class Svc(collections.namedtuple("Svc", "port argv user builtin proto wrapped target")):
    """A service: a program, a built-in of the server, or a redirect to the port `target`, where
    nobody listens but the generator. `wrapped`: what hosts.allow and hosts.deny, where they are
    asked, say to a caller."""

    def __new__(cls, port, argv=(), user="root", builtin=None, proto="tcp", wrapped=None, target=None):
        return super().__new__(cls, port, tuple(argv), user, builtin, proto, wrapped, target)

    @property
    def key(self):
        return self.builtin + ("-udp" if self.proto == "udp" else "") if self.builtin else None

    @property
    def is_refused(self):
        return self.wrapped == REFUSED

    @property
    def is_silent(self):
        """whether a caller hears nothing, as long as nobody is the target"""
        return self.is_refused or self.target is not None

    @property
    def echoes(self):
        return self.builtin == "echo" or self.argv[:1] == ("/bin/cat",)


# ------------------------------------------------------------------ configurations
# A machine's tables of usual size: who is served is so by the last rule of the first, who
# is refused by the last rule of both. No name is asked for.
HOSTS_ALLOW = """\
sshd, in.sftpd: 192.0.2. 198.51.100.0/255.255.255.0
in.ftpd: 203.0.113.17 203.0.113.18 203.0.113.19
in.telnetd, in.rlogind: 10.20.0.0/255.255.0.0 EXCEPT 10.20.30.40
in.tftpd: 10.20.30.
ALL: 172.16.0.0/255.240.0.0
tiny, cat: 127.0.0.1
"""
HOSTS_DENY = """\
in.fingerd, in.tftpd: ALL
ALL: 192.168.66. 192.168.67.
ALL: ALL
"""
# The same for tcpserver, which knows neither daemons nor EXCEPT.
TCPRULES = """\
192.0.2.:allow
198.51.100.:allow
203.0.113.17-19:allow
10.20.:allow
172.16-31.:allow
127.0.0.1:%s
:deny
"""


def inetd_conf(services):
    lines = []
    for s in services:
        kind, wait = ("dgram", "wait") if s.proto == "udp" else ("stream", "nowait")
        if s.builtin:
            lines.append("%s %s %s %s root internal\n" % (s.builtin, kind, s.proto, wait))
        else:
            # tcpd starts its argv[0]
            program, name = (TCPD, s.argv[0]) if s.wrapped else (s.argv[0], os.path.basename(s.argv[0]))
            lines.append("%d %s %s %s %s %s %s\n" % (s.port, kind, s.proto, wait, s.user, program,
                                                    " ".join((name,) + s.argv[1:])))
    return "".join(lines)


# So many services of xinetd have files of their own.
MANY = 100
UNLIMITED = "defaults\n{\n instances = UNLIMITED\n per_source = UNLIMITED\n cps = 0 0\n}\n"


def xinetd_conf(services, defaults=UNLIMITED):
    text = [defaults]
    return "".join(text + xinetd_blocks(services))


def xinetd_files(services, work):
    """as packages have it: a file for each service"""
    files = {"xinetd.d/s%d" % i: block for i, block in enumerate(xinetd_blocks(services))}
    return {"conf": "%sincludedir %s/xinetd.d\n" % (UNLIMITED, work), **files}


def xinetd_blocks(services):
    text = []
    for i, s in enumerate(services):
        if s.target:
            what = " type = UNLISTED\n port = %d\n redirect = 127.0.0.1 %d\n" % (s.port, s.target)
        elif s.builtin:
            what = " type = INTERNAL\n"
        else:
            what = " type = UNLISTED\n port = %d\n server = %s\n%s" % (
                s.port, s.argv[0], " server_args = %s\n" % " ".join(s.argv[1:]) if s.argv[1:] else "")
        text.append("service %s\n{\n id = s%d\n%s socket_type = %s\n protocol = %s\n wait = %s\n user = %s\n}\n" % (
            s.builtin or "s%d" % i, i, what, "dgram" if s.proto == "udp" else "stream", s.proto,
            "yes" if s.proto == "udp" else "no", s.user))
    return text


def rlinetd_conf(services):
    text = []
    for i, s in enumerate(services):
        what = ' echo "%I\\n";\n close;' if s.builtin else ' exec "%s";' % " ".join(s.argv)
        text.append('service "s%d" {\n port %d;\n protocol tcp;\n interface 127.0.0.1;\n instances 100000;\n backlog 1024;\n'
                    ' user "%s";\n%s\n}\n' % (i, s.port, s.user, what))
    return "".join(text)


def has_target(services):
    return any(s.target for s in services)


# ------------------------------------------------------------------------- a server
class Peer:
    """`command` is a template: {bin}, {conf}, {work}; a server in UCSPI style has
    no configuration, {port} and {argv} instead, and one process for each service."""
    limit = False                      # a reference, not a product

    def __init__(self, name, program, command, conf=inetd_conf, family="inetd",
                 builtins=("daytime", "echo", "echo-udp"), most=9000, udp_addr="127.0.0.1", wraps=(), redirects=False):
        self.name, self.program, self.command, self.conf, self.family = name, str(program), command, conf, family
        self.builtins, self.most, self.udp_addr, self.wraps, self.redirects = builtins, most, udp_addr, wraps, redirects
        self.users = self.reloads = family == "inetd"

    def limited(self):
        """the same with the limits that hold where nothing is said of them"""
        other = copy.copy(self)
        other.command = re.sub(r" -[Rcb] \d+", "", self.command)
        if self.conf is xinetd_conf:
            other.conf = functools.partial(xinetd_conf, defaults="")
        return other

    def files(self, services, work):
        """its configuration: texts by their names in `work`"""
        if self.conf is xinetd_conf and len(services) >= MANY:
            return xinetd_files(services, work)
        return {"conf": self.conf(services)}

    def there(self):
        return os.access(self.program, os.X_OK)

    def can(self, svc):
        if svc.wrapped and svc.wrapped not in self.wraps:
            return False
        if svc.target:
            return self.redirects
        return svc.key in self.builtins if svc.builtin else svc.user == "root" or self.users

    def env(self):
        libs = [d for lib in ("lib", "usr/lib") for d in glob.glob(str(PEERS / "libs" / lib / "*-linux-gnu"))]
        return {"LD_LIBRARY_PATH": ":".join(libs)} if self.program.startswith(str(PEERS)) else {}

    def commands(self, services, work):
        fill = lambda **kw: [w.format(bin=self.program, conf=work / "conf", work=work, **kw) for w in self.command.split()]
        return [fill()]


class Ucspi(Peer):
    def __init__(self, name, program, command, **kw):
        super().__init__(name, program, command, conf=lambda services: "", family="ucspi", builtins=(), most=1, **kw)

    def commands(self, services, work):
        return [self.command.format(bin=self.program, port=s.port, rules=self.rules(s, work)).split() + list(s.argv)
                for s in services]

    def rules(self, svc, work):
        return ""


class Tcpserver(Ucspi):
    def rules(self, svc, work):
        """a cdb for each service, as it is about addresses only"""
        if not svc.wrapped:
            return ""
        cdb = work / ("%d.cdb" % svc.port)
        subprocess.run([pathlib.Path(self.program).with_name("tcprules"), cdb, work / "rules.tmp"], check=True,
                       input=(TCPRULES % ("deny" if svc.is_refused else "allow")).encode())
        return "-x %s" % cdb


class Socat(Peer):
    """A process for each redirect, and one for each caller of it. 64 KiB at a time: with its own 8 KiB it is slower."""

    def __init__(self, program):
        command = ("{bin} -b 65536 TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,nodelay,backlog=1024"
                   " TCP:127.0.0.1:{target},nodelay")
        super().__init__("socat", program, command, conf=lambda services: "", family="relay", builtins=(), most=0,
                         redirects=True)

    def can(self, svc):
        return svc.target is not None

    def commands(self, services, work):
        return [self.command.format(bin=self.program, port=s.port, target=s.target).split() for s in services]


class Skeleton(Peer):
    limit = True

    def __init__(self):
        super().__init__("skeleton", BIN / "skeleton", "", conf=lambda services: "", builtins=("echo", "echo-udp"))
        self.family, self.reloads = "limit", False

    def commands(self, services, work):
        modes = {"echo": "echo", "echo-udp": "udp"}
        out = [[self.program, modes[s.key], str(s.port)] for s in services if s.builtin]
        programs = [s for s in services if not s.builtin]
        if len(programs) > 50:         # many alike on consecutive ports: one process
            groups = [(programs[0], len(programs))]
        else:
            groups = [(s, 1) for s in programs]
        for s, n in groups:
            out.append([self.program, "spawn", str(s.port), str(n), str(pwd.getpwnam(s.user).pw_uid), *s.argv])
        return out


class Usherd(Peer):
    """The server under test."""

    def __init__(self):
        target = os.environ.get("CARGO_TARGET_DIR") or HERE.parent / "target"
        program = os.environ.get("USHERD") or pathlib.Path(target, "release/usherd")
        super().__init__("usherd", pathlib.Path(program).absolute(),
                         os.environ.get("USHERD_CMD", "{bin} inetd -i -R 1000000000 {conf}"), wraps=(SERVED, REFUSED),
                         redirects=True)
        self.conf = lambda services: (xinetd_conf if has_target(services) else inetd_conf)(services)

    def commands(self, services, work):
        if not has_target(services):
            return super().commands(services, work)
        return [[self.program, "run", "--control", "none", "-c", str(work / "conf")]]

    def build(self):
        """`cargo build`, unless USHERD names a binary or there is no cargo"""
        if not os.environ.get("USHERD") and shutil.which("cargo"):
            subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "usherd",
                            "--manifest-path", str(HERE.parent / "Cargo.toml")], check=True)


class UsherdXinetd(Usherd):
    """The same by the other name, with the other configuration."""

    def __init__(self):
        super().__init__()
        self.name, self.conf = "usherd-xinetd", xinetd_conf
        self.command = "{bin} xinetd -dontfork -f {conf} -pidfile {work}/pid"
        self.family = "ours"

    def commands(self, services, work):
        return Peer.commands(self, services, work)


def known():
    """Rate limits are off in all of them, names and ident are not looked up."""
    p = PEERS
    rlinetd_lib = (glob.glob(str(p / "rlinetd/usr/lib/*/rlinetd/libparse.so")) or ["-"])[0]
    return {x.name: x for x in (
        Usherd(),
        UsherdXinetd(),
        Peer("openbsd-inetd", p / "openbsd-inetd/usr/sbin/inetd", "{bin} -i -R 100000000 {conf}",
             udp_addr="::1",           # its UDP built-ins do not answer 127/8, on purpose
             wraps=(SERVED,) if os.access(TCPD, os.X_OK) else ()),    # tcpd keeps whom it refuses for 5 s
        Peer("inetutils-inetd", p / "inetutils-inetd/usr/sbin/inetutils-inetd",
             "{bin} --pidfile={work}/pid -R 100000000 {conf}", most=1000),                  # select()
        Peer("busybox-inetd", p / "busybox-src/busybox", "{bin} inetd -f {conf}", most=1000),   # select()
        Peer("xinetd", p / "xinetd/usr/sbin/xinetd", "{bin} -dontfork -f {conf} -pidfile {work}/pid", conf=xinetd_conf,
             wraps=(SERVED, REFUSED), redirects=True),     # it is linked with libwrap
        Peer("rlinetd", p / "rlinetd/usr/sbin/rlinetd", "{bin} -f {conf} -p " + rlinetd_lib, conf=rlinetd_conf,
             builtins=("daytime",), most=1000),   # its echo crashes the daemon when a caller half-closes
        Ucspi("busybox-tcpsvd", p / "busybox-src/busybox", "{bin} tcpsvd -c 30000 -b 1024 127.0.0.1 {port}"),
        Tcpserver("tcpserver", p / "ucspi-tcp/usr/bin/tcpserver",
                  "{bin} -H -R -l0 -c 100000 -b 1024 {rules} 127.0.0.1 {port}", wraps=(SERVED, REFUSED)),
        Socat(p / "socat/usr/bin/socat"),
        Skeleton(),
    )}


# ------------------------------------------------------------------------- building
def build():
    """The generator, the skeleton and the smallest program, into target/bin."""
    BIN.mkdir(parents=True, exist_ok=True)
    cc = os.environ.get("CC", "gcc")
    tiny = ("-Os -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -nostdlib -fno-pie -no-pie "
            "-Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -s").split()
    for name, flags in (("tiny", tiny), ("load", ["-O2"]), ("skeleton", ["-O2", "-pthread"])):
        src, out = HERE / "csrc" / (name + ".c"), BIN / name
        if not out.exists() or out.stat().st_mtime < src.stat().st_mtime:
            subprocess.run([cc, "-Wall", "-Wextra", "-static", *flags, "-o", str(out), str(src)], check=True)


DEBS = ("openbsd-inetd", "inetutils-inetd", "xinetd", "rlinetd", "ucspi-tcp", "tcpd", "socat")
LIBS = ("libbsd0", "libevent-2.1-7", "libtirpc3", "libwrap0", "libnsl2")      # what they need
APPLETS = ("INETD FEATURE_INETD_SUPPORT_BUILTIN_ECHO FEATURE_INETD_SUPPORT_BUILTIN_DISCARD "
           "FEATURE_INETD_SUPPORT_BUILTIN_TIME FEATURE_INETD_SUPPORT_BUILTIN_DAYTIME "
           "FEATURE_INETD_SUPPORT_BUILTIN_CHARGEN TCPSVD FEATURE_IPV6 FEATURE_SYSLOG LONG_OPTS STATIC USE_BB_PWD_GRP").split()


def fetch():
    """The others from the Debian archive, unpacked under PEERS, nothing installed."""
    debs = PEERS / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *DEBS, *LIBS], cwd=debs, check=True)
    for name in DEBS + LIBS:
        newest = max(debs.glob(name + "_*.deb"), key=lambda f: f.stat().st_mtime)
        where = PEERS / ("libs" if name in LIBS else name)
        subprocess.run(["dpkg", "-x", str(newest), str(where)], check=True)
    if not os.access(PEERS / "busybox-src/busybox", os.X_OK):
        fetch_busybox(PEERS / "busybox-src")
    print("peers are in", PEERS)


def fetch_busybox(where):
    """Debian's busybox has neither inetd nor tcpsvd: its source, with just those."""
    # a source list of its own: nothing of the machine's apt set-up is changed
    apt = where / "apt"
    (apt / "lists/partial").mkdir(parents=True, exist_ok=True)
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "bookworm")
    (apt / "sources.list").write_text("deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                                      "http://deb.debian.org/debian %s main\n" % release)
    get = ["apt-get", "-qq", "-o", "Dir::Etc::sourcelist=%s/sources.list" % apt, "-o", "Dir::Etc::sourceparts=-",
           "-o", "Dir::State::lists=%s/lists" % apt, "-o", "APT::Sandbox::User=root"]
    subprocess.run(get + ["update"], check=True)
    subprocess.run(get + ["source", "busybox"], cwd=where, check=True)
    src = next(d for d in where.glob("busybox-*") if d.is_dir())
    quiet = {"stdout": subprocess.DEVNULL, "check": True, "cwd": src}
    subprocess.run(["make", "-s", "allnoconfig"], **quiet)
    config = (src / ".config").read_text()
    for o in APPLETS:
        config = config.replace("# CONFIG_%s is not set" % o, "CONFIG_%s=y" % o)
    (src / ".config").write_text(config)
    subprocess.run(["make", "-s", "oldconfig"], input=b"\n" * 5000, **quiet)
    with open(where / "build.log", "wb") as log:
        subprocess.run(["make", "-s", "-j%d" % os.cpu_count(), "busybox"], stdout=log, stderr=log, check=True, cwd=src)
    shutil.copy2(src / "busybox", where / "busybox")
