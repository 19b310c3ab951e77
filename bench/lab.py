"""The laboratory: a room for each server, its CPU books, the generator, samples.

Knows nothing of scenarios or of particular servers. Root is needed.
"""
import ctypes
import fcntl
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE / "target"
PEERS = pathlib.Path(os.environ.get("BENCH_PEERS") or TARGET / "peers").resolve()
BIN = TARGET / "bin"

# Everything a run writes is here: a tmpfs that only this process and its
# children see, where user nobody can reach the programs.
WORK = pathlib.Path("/run/bench")
ETC = WORK / "etc"                     # covers /etc, whose hosts.allow and hosts.deny are the machine's

CGROUP_V1 = pathlib.Path("/sys/fs/cgroup/cpuacct")
CGROUP_V2 = pathlib.Path("/sys/fs/cgroup")

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40

libc = ctypes.CDLL(None, use_errno=True)


def sys_call(name, *args):
    if getattr(libc, name)(*args) != 0:
        e = ctypes.get_errno()
        raise OSError(e, "%s: %s" % (name, os.strerror(e)))


def enter():
    """Leave the machine's mounts: a /run of our own, with WORK in it, and an /etc."""
    sys_call("unshare", CLONE_NEWNS)
    sys_call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    sys_call("mount", b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755")
    WORK.mkdir(mode=0o755)
    ETC.mkdir(mode=0o755)
    for f in pathlib.Path("/etc").iterdir():       # names of users, services and libraries
        if f.is_file() and f.stat().st_mode & stat.S_IROTH:
            shutil.copy(f, ETC)
    tables("", "")
    sys_call("mount", bytes(ETC), b"/etc", None, MS_BIND, None)


def tables(allow, deny):
    """What hosts.allow and hosts.deny say in all rooms."""
    (ETC / "hosts.allow").write_text(allow)
    (ETC / "hosts.deny").write_text(deny)


class Room:
    """Network and /run of one server: no port, TIME_WAIT or pid file is shared."""

    def __init__(self):
        home_net, home_mnt = (os.open("/proc/self/ns/" + k, os.O_RDONLY) for k in ("net", "mnt"))
        sys_call("unshare", CLONE_NEWNS | CLONE_NEWNET)
        work = os.open(WORK, os.O_PATH)            # a handle that outlives the cover of /run
        try:
            sys_call("mount", b"tmpfs", b"/run", b"tmpfs", 0, b"mode=755")
            WORK.mkdir()
            sys_call("mount", b"/proc/self/fd/%d" % work, bytes(WORK), None, MS_BIND, None)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))
            for key, value in (("core/somaxconn", "4096"), ("ipv4/tcp_max_syn_backlog", "4096"),
                               ("ipv4/ip_local_port_range", "32768 60999")):
                try:
                    pathlib.Path("/proc/sys/net", key).write_text(value)
                except OSError:
                    pass              # a read-only /proc/sys: the same for every server
            self.net, self.mnt = (os.open("/proc/self/ns/" + k, os.O_RDONLY) for k in ("net", "mnt"))
        finally:
            sys_call("setns", home_net, CLONE_NEWNET)
            sys_call("setns", home_mnt, CLONE_NEWNS)
            os.close(home_mnt)
            os.close(work)
            self.home_net = home_net

    def enter(self):
        """For a child that is about to exec."""
        sys_call("setns", self.net, CLONE_NEWNET)
        sys_call("setns", self.mnt, CLONE_NEWNS)

    def socket(self, family, kind):
        sys_call("setns", self.net, CLONE_NEWNET)
        try:
            return socket.socket(family, kind)
        finally:
            sys_call("setns", self.home_net, CLONE_NEWNET)


class Server:
    """One running server: its processes, its cgroup, its folder."""
    count = 0

    def __init__(self, peer, services, room, cpus, files=1024):
        Server.count += 1
        self.peer, self.services, self.room = peer, services, room
        self.work = WORK / ("%s-%d" % (peer.name, Server.count))
        self.work.mkdir()
        self.v1 = CGROUP_V1.is_dir()
        self.cgroup = (CGROUP_V1 if self.v1 else CGROUP_V2) / ("usherd-bench-%d-%d" % (os.getpid(), Server.count))
        self.cgroup.mkdir()
        self.procs, self.mains, self.files = [], [], {}

        def child():
            (self.cgroup / "cgroup.procs").write_text("0")
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            room.enter()
            os.sched_setaffinity(0, cpus)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))
            os.setsid()

        self.configure(services)
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C", **peer.env()}
        self.began = time.monotonic()
        try:
            with open(self.work / "log", "wb") as log:
                for argv in peer.commands(services, self.work):
                    self.procs.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                       env=env, cwd="/", preexec_fn=child))
        except BaseException:
            self.stop()
            raise

    def configure(self, services):
        files = self.peer.files(services, self.work)
        for name, text in files.items():
            if self.files.get(name) != text:
                (self.work / name).parent.mkdir(exist_ok=True)
                new = self.work / (name + ".new")
                new.write_text(text)
                new.rename(self.work / name)
        for name in self.files.keys() - files.keys():
            (self.work / name).unlink()
        self.files = files

    def pids(self):
        return [int(x) for x in (self.cgroup / "cgroup.procs").read_text().split()]

    def cpu(self):
        """CPU seconds of the server and of every child it ever had"""
        if self.v1:
            return int((self.cgroup / "cpuacct.usage").read_text()) / 1e9
        return int((self.cgroup / "cpu.stat").read_text().split()[1]) / 1e6

    def own_cpu(self):
        """of it, the server's own threads"""
        total = 0
        for p in self.mains:
            for task in pathlib.Path("/proc/%d/task" % p).glob("*/schedstat"):
                try:
                    total += int(task.read_text().split()[0])
                except OSError:
                    pass
        return total / 1e9

    def pss(self):
        total = 0
        for p in self.pids():
            try:
                with open("/proc/%d/smaps_rollup" % p) as f:
                    total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
            except OSError:
                pass
        return total

    def answers(self, svc):
        """one real connection or datagram, and the right first bytes, or none to whom is refused"""
        addr = self.peer.udp_addr if svc.proto == "udp" else "127.0.0.1"
        kind = socket.SOCK_DGRAM if svc.proto == "udp" else socket.SOCK_STREAM
        with self.room.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, kind) as s:
            s.settimeout(2)
            try:
                s.connect((addr, svc.port))
                if svc.echoes:
                    s.send(b"x\n")
                    return s.recv(64) == b"x\n"
                return (len(s.recv(64)) > 0) != svc.is_silent
            except OSError:
                return False

    def ready(self, services, limit=10.0):
        end = time.monotonic() + limit
        for svc in services:
            while not self.answers(svc):
                if time.monotonic() > end or not self.pids():
                    return False
                time.sleep(0.0003)
        self.ready_at = time.monotonic()
        if not self.mains:
            self.settle(len(self.procs), 1.0)
            self.mains = self.pids()
        return True

    def settle(self, base, limit=3.0):
        """until children are gone, so that their CPU time is in the books"""
        end = time.monotonic() + limit
        while len(self.pids()) > base and time.monotonic() < end:
            time.sleep(0.004 if base < 200 else 0.05)

    def log(self):
        return (self.work / "log").read_text(errors="replace")[-500:]

    def stop(self):
        for p in self.procs:
            p.terminate()
        end = time.monotonic() + 0.4
        while self.pids() and time.monotonic() < end:
            time.sleep(0.005)
        for _ in range(200):
            for pid in self.pids():        # only ever processes of our own cgroup
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for p in self.procs:
                p.poll()
            if not self.pids():
                break
            time.sleep(0.01)
        for _ in range(50):
            try:
                self.cgroup.rmdir()
                break
            except OSError:
                time.sleep(0.02)


# ------------------------------------------------------------------ the generator
ERRORS = ("refused", "reset", "late", "wrong", "empty", "other")


def generator(server, svc, args, cpus, **popen):
    mode, *rest = args
    addr = server.peer.udp_addr if svc.proto == "udp" else "127.0.0.1"
    argv = [str(BIN / "load"), mode, "-a", addr, *rest, str(svc.port)]

    def child():
        server.room.enter()
        os.sched_setaffinity(0, cpus)
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=child, **popen)


def machine_busy():
    """CPU seconds that everything on this machine used, and that were stolen from it"""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(x) for x in f.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Noise:
    """A sample taken while others used the machine is taken again, within a budget."""
    limit = 0.15                       # of all CPUs; a calm machine shows 0.05 to 0.10
    budget = 0.0                       # seconds left for taking samples again
    again = 0
    seen = []


def sample(server, svc, args, cpus):
    """The least disturbed of at most three."""
    best = None
    for _ in range(3):
        t = time.monotonic()
        s = sample_once(server, svc, args, cpus)
        took = time.monotonic() - t
        if best is None or s["noise"] < best["noise"]:
            best = s
        if s["noise"] <= Noise.limit or took > Noise.budget:
            break
        Noise.budget -= took
        Noise.again += 1
    Noise.seen.append(best["noise"])
    return best


def sample_once(server, svc, args, cpus, crowd=None):
    """`crowd`: the generator of what else the server has to do meanwhile; its CPU is in the books too"""
    base = len(server.pids())
    t, busy, cpu, own = time.monotonic(), machine_busy(), server.cpu(), server.own_cpu()
    s = json.loads(generator(server, svc, args, cpus).communicate(timeout=130)[0])
    clients = s["client_s"] + (json.loads(crowd.communicate(timeout=130)[0])["client_s"] if crowd else 0)
    ours = server.cpu() - cpu + clients + 0.01
    s["noise"] = max(0.0, (machine_busy() - busy - ours) / (time.monotonic() - t) / os.cpu_count())
    server.settle(base)
    answers = max(s["ok"], 1)
    s["cpu"] = (server.cpu() - cpu) * 1e6 / answers
    s["own"] = (server.own_cpu() - own) * 1e6 / answers
    s["errors"] = sum(s[k] for k in ERRORS)
    return s


def calm(samples):
    """without those that others disturbed, but never fewer than two"""
    ranked = sorted(samples, key=lambda s: s["noise"])
    return [s for i, s in enumerate(ranked) if i < 2 or s["noise"] <= Noise.limit]
