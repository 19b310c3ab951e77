"""The scenarios, and a run: all servers up at once, visited in random order.

A run leaves `results`: scenario -> server -> list of samples.
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

from lab import BIN, WORK, Noise, Room, Server, generator, sample, sample_once, tables
from peers import HOSTS_ALLOW, HOSTS_DENY, REFUSED, SERVED, Svc

TINY = str(WORK / "tiny")
CLOSED = str(WORK / "closed")           # the same program by a name that no rule lets in
HELLO = ["-e", "hello\n"]
LINE = ["-s", "line %N\n", "-H", "-e", "same"]

SERVICES = {
    "tiny": Svc(20001, [TINY]),
    "cat": Svc(20002, ["/bin/cat"]),
    "sh": Svc(20003, ["/bin/sh", str(WORK / "hi.sh")]),
    "hold": Svc(20005, [TINY, "hold"]),
    "nobody": Svc(20006, [TINY], user="nobody"),
    "wrapped": Svc(20007, [TINY], wrapped=SERVED),
    "closed": Svc(20008, [CLOSED], wrapped=REFUSED),
    "redirect": Svc(20009, target=20010),
    "daytime": Svc(13, builtin="daytime"),
    "echo": Svc(7, builtin="echo"),
    "echo-udp": Svc(7, builtin="echo", proto="udp"),
}

# name: what it is, service, arguments of the generator, seconds, rounds more or fewer
VISITS = {
    "A": ("a tiny program, 16 in flight", "tiny", ["conn", "-c", "16", *HELLO], 0.55, 2),
    "A1": ("the same, one at a time", "tiny", ["conn", "-c", "1", *HELLO], 0.4, 0),
    "A2": ("the same, 400/s, open loop", "tiny", ["conn", "-r", "400", *HELLO], 0.55, 0),
    "A3": ("as A, as user nobody", "nobody", ["conn", "-c", "16", *HELLO], 0.4, 0),
    "B": ("/bin/cat, a line", "cat", ["conn", "-c", "16", *LINE], 0.4, 0),
    "C": ("a shell script, echo hi", "sh", ["conn", "-c", "16", "-e", "hi\n"], 0.4, 0),
    "E1": ("built-in daytime, connections", "daytime", ["conn", "-c", "16"], 0.35, 0),
    "E2": ("built-in TCP echo, round trips", "echo", ["echo", "-c", "16", "-z", "64"], 0.35, 0),
    "E3": ("built-in UDP echo, datagrams", "echo-udp", ["udp", "-c", "64", "-z", "64"], 0.35, 0),
    "E4": ("built-in TCP echo, a connection a line", "echo", ["conn", "-c", "16", *LINE], 0.35, 0),
    "R1": ("redirect, MiB of one stream", "redirect", ["bulk", "-c", "1", "-b", "20010"], 0.55, 0),
    "R100": ("redirect, MiB of 100 streams", "redirect", ["bulk", "-c", "100", "-b", "20010"], 0.55, 0),
    "W1": ("as A, asking hosts.allow and hosts.deny", "wrapped", ["conn", "-c", "16", *HELLO], 0.55, 2),
    "W2": ("the same, refused", "closed", ["conn", "-c", "16", "-e", ""], 0.4, 2),
}
REDIRECTED = [n for n in VISITS if SERVICES[VISITS[n][1]].target]
WRAPPED = [n for n in VISITS if SERVICES[VISITS[n][1]].wrapped]
MANY = {"G%d" % n: n for n in (1, 100, 1000, 9000)}     # so many services in one server
RELOADS = 50
HELD = 5000                                             # I: idle children of the server
FLOOD = 100                                             # H: callers at a time
OTHERS = {
    "H": "50/s, beside a flood of another service, own limits",
    "I": "as A, beside %d idle children" % HELD,
}
NAMES = [*VISITS, *MANY, *OTHERS]


def title(name):
    if name in VISITS:
        return VISITS[name][0]
    return "%d services" % MANY[name] if name in MANY else OTHERS[name]


def splits():
    """Which CPUs servers (with their children) and generator get."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        print("bench: one CPU only: servers and generator share it", file=sys.stderr)
        return {"one": (set(cpus), set(cpus)), "both": (set(cpus), set(cpus))}
    a, b = cpus[0], cpus[1]
    return {"one": ({a}, {b}), "both": ({a, b}, {b})}


class Run:
    def __init__(self, peers, cpus, rounds, repeat=3, seconds=None):
        self.peers = [p for p in peers if p.there()]
        self.server_cpus, self.client_cpus = cpus
        self.rounds, self.repeat, self.seconds = rounds, repeat, seconds
        self.results, self.failed = {}, []
        self.rooms = {p.name: Room() for p in self.peers}
        self.began = time.monotonic()
        os.sched_setaffinity(0, self.client_cpus)      # children set their own
        tiny = (BIN / "tiny").read_bytes()
        for name, content in (("hi.sh", b"echo hi\n"), ("tiny", tiny), ("closed", tiny)):
            f = WORK / name
            if not f.exists():
                f.write_bytes(content)
                f.chmod(0o755)

    def say(self, *words):
        print("[%5.1f s]" % (time.monotonic() - self.began), *words, file=sys.stderr, flush=True)

    def put(self, scenario, peer, s):
        self.results.setdefault(scenario, {}).setdefault(peer.name, []).append(s)

    def start(self, peer, services, probe=None, **kw):
        """the server when it answers, or None"""
        services = [s for s in services if peer.can(s)]
        server = Server(peer, services, self.rooms[peer.name], self.server_cpus, **kw)
        if server.ready(probe or services):
            return server
        self.say(peer.name, "does not answer:", server.log().strip() or "(it says nothing)")
        self.failed.append(peer.name)
        server.stop()
        return None

    def run(self, names):
        self.visits([n for n in VISITS if n in names and n not in WRAPPED and n not in REDIRECTED])
        # Who reads inetd.conf otherwise reads another file for these.
        self.visits([n for n in REDIRECTED if n in names])
        # Some servers ask the tables for every service: they are there for these only.
        tables(HOSTS_ALLOW, HOSTS_DENY)
        self.visits([n for n in WRAPPED if n in names])
        tables("", "")
        for n in MANY:
            if n in names:
                self.many(n, MANY[n])
        if "H" in names:
            self.flood()
        if "I" in names:
            self.held()
        return self.results

    def visits(self, names):
        if not names:
            return
        need = [SERVICES[k] for k in dict.fromkeys(VISITS[n][1] for n in names)]
        up = []
        try:
            for p in self.peers:
                if any(p.can(s) for s in need):
                    up.append(self.start(p, need))
            up = [u for u in up if u]
            for name in names:
                _, key, args, secs, more = VISITS[name]
                args = args + ["-d", str(self.seconds or secs)]
                for _ in range(self.rounds + (more if self.rounds > 1 else 0)):
                    random.shuffle(up)
                    for server in up:
                        if SERVICES[key] in server.services:
                            self.put(name, server.peer, sample(server, SERVICES[key], args, self.client_cpus))
                self.say(name, "done")
        finally:
            for server in up:
                if server:
                    server.stop()

    def many(self, name, n):
        """Start until the last service answers, memory, rate, a reload that adds a service."""
        for _ in range(self.repeat):
            for p in random.sample(self.peers, len(self.peers)):
                if n <= p.most:
                    self.many_once(name, n, p)
        self.say(name, "done")

    def many_once(self, name, n, p):
        services = [Svc(12000 + i, [TINY]) for i in range(n)]
        last, extra = services[-1], Svc(12000 + n, [TINY])
        server = self.start(p, services, [last], files=1024 if n < 1000 else 20000)
        if not server:
            return
        try:
            s = {"start_ms": (server.ready_at - server.began) * 1e3, "start_cpu_ms": server.cpu() * 1e3}
            if server.ready([services[0], services[n // 2]]):
                server.settle(len(server.procs), 1.0)
                s["pss_kb"] = server.pss()
            if n >= 1000:
                s.update(sample(server, last, ["conn", "-c", "16", *HELLO, "-d", "0.4"], self.client_cpus))
            if n >= 1000 and p.reloads:
                server.configure(services + [extra])
                began = time.monotonic()
                server.procs[0].send_signal(signal.SIGHUP)
                if server.ready([extra]):
                    s["reload_ms"] = (server.ready_at - began) * 1e3
                    if n == 1000:
                        s["reload_cpu_ms"] = self.reloads(server, services, extra)
            self.put(name, p, s)
        finally:
            server.stop()

    @staticmethod
    def reloads(server, services, extra):
        """CPU milliseconds of a reload, that of helpers included: a service goes and comes, again and again"""
        before = server.cpu()
        for i in range(RELOADS):
            comes = i % 2 == 1
            server.configure(services + [extra] if comes else services)
            server.procs[0].send_signal(signal.SIGHUP)
            end = time.monotonic() + 5
            while server.answers(extra) != comes:
                if time.monotonic() > end:
                    return None
                time.sleep(0.002)
        server.settle(len(server.procs), 1.0)
        return (server.cpu() - before) * 1e3 / RELOADS

    def flood(self):
        """More callers of one service than its limits let in, and what those of another notice of it."""
        flooded, other = SERVICES["tiny"], Svc(20004, [TINY])
        flood = ["conn", "-c", str(FLOOD), *HELLO, "-d", "1.2"]
        for _ in range(self.repeat):
            for p in random.sample(self.peers, len(self.peers)):
                server = p.can(other) and self.start(p.limited(), [flooded, other])
                if not server:
                    continue
                try:
                    crowd = generator(server, flooded, flood, self.client_cpus)
                    time.sleep(0.15)           # until the limit is met
                    calls = ["conn", "-r", "50", *HELLO, "-d", "0.8"]
                    self.put("H", p, sample_once(server, other, calls, self.client_cpus, crowd))
                finally:
                    server.stop()
        self.say("H done")

    def held(self):
        tiny, hold = SERVICES["tiny"], SERVICES["hold"]
        for p in random.sample(self.peers, len(self.peers)):
            self.wait_for_process_numbers()
            server = self.start(p, [tiny, hold], files=20000)
            if not server:
                continue
            holder = None
            try:
                holder = generator(server, hold, ["hold", "-c", str(HELD), "-T", "10"], self.client_cpus)
                held = json.loads(holder.stdout.readline())["held"]
                for _ in range(2):
                    s = sample(server, tiny, VISITS["A"][2] + ["-d", "0.4"], self.client_cpus)
                    s["errors"] += HELD - held
                    self.put("I", p, s)
            finally:
                if holder:
                    holder.stdin.close()
                    try:
                        holder.wait(timeout=20)
                    except subprocess.TimeoutExpired:
                        holder.kill()
                        holder.wait()
                server.stop()
        self.say("I done")

    @staticmethod
    def wait_for_process_numbers():
        """others may hold many processes too, and the numbers are few"""
        room = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text()) - 2 * HELD
        for _ in range(40):
            if int(pathlib.Path("/proc/loadavg").read_text().split()[3].split("/")[1]) < room:
                break
            time.sleep(0.25)


def noise_line():
    seen = sorted(Noise.seen) or [0]
    return "CPU used by others during the samples: median %.0f %%, worst %.0f %%; %d samples taken again" % (
        seen[len(seen) // 2] * 100, seen[-1] * 100, Noise.again)
