#!/usr/bin/env python3
"""usherd beside the servers it replaces, on one machine at one time: ratios.

    bench.py smoke                  one short round, answers checked, no ratio judged (CI)
    bench.py bars                   every goal of bars.toml, reached or not (4 minutes)
    bench.py run                    any scenarios, any servers
    bench.py syscalls               system calls of each server for one connection
    bench.py verdicts               a verdict of hosts.allow and hosts.deny, and of only_from, by the length of the tables
    bench.py fetch                  get the other servers (Debian, apt-get), install nothing
    bench.py list                   the scenarios, and the servers that are there

Root is needed, and python 3.11, gcc, a static libc. See README.md.
"""
import argparse
import collections
import json
import math
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import time
import tomllib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import lab                                                                # noqa: E402
import peers                                                              # noqa: E402
from scenarios import NAMES, SERVICES, Run, noise_line, splits, title      # noqa: E402

OURS = "usherd"


def value(samples, what):
    """the middle of the calm samples; of things that happen once in a start, the best"""
    if what in ("rate", "p50", "cpu"):
        got = [s[what] for s in lab.calm([s for s in samples if s.get("ok")])]
        return statistics.median(got) if got else None
    return min((s[what] for s in samples if s.get(what)), default=None)


def errors(samples):
    return sum(s.get("errors", 0) + max(s.get("lost", 0), 0) for s in samples)


# --------------------------------------------------------------------------- tables
def table(head, rows, words=(0,)):
    """columns of `words` to the left, numbers to the right"""
    rows = [[str(c) for c in r] for r in [head, *rows]]
    width = [max(len(r[i]) for r in rows) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) if i in words else c.rjust(w) for i, (c, w) in enumerate(zip(r, width))).rstrip()
                     for r in rows)


def show(x, form="%.0f"):
    return "-" if x is None else form % x


def ratio(a, b):
    return a / b if a is not None and b else None


def report(results, known):
    out = []
    for name in NAMES:
        of = results.get(name, {})
        if not of:
            continue
        rate = {p: value(ss, "rate") for p, ss in of.items()}
        best = max((v for p, v in rate.items() if v and p != OURS and not known[p].limit), default=None)
        rows = []
        for p, ss in sorted(of.items(), key=lambda kv: -(rate[kv[0]] or 0)):
            calm = lab.calm([s for s in ss if "noise" in s])
            row = [p, show(rate[p]), "%.0f..%.0f" % (min(s["rate"] for s in calm), max(s["rate"] for s in calm)) if calm else "-",
                   show(ratio(rate[p], best), "%.2f"), show(ratio(rate[p], rate.get("skeleton")), "%.2f"),
                   show(value(ss, "cpu"), "%.1f"), show(statistics.median([s["own"] for s in calm]) if calm else None, "%.1f"),
                   show(value(ss, "p50")), show(statistics.median([s["p99"] for s in calm]) if calm else None)]
            if name[0] == "G":
                row += [show(value(ss, k), "%.1f") for k in ("start_ms", "start_cpu_ms", "reload_ms", "reload_cpu_ms")] + [show(value(ss, "pss_kb"))]
            rows.append(row + [errors(ss), "%d/%d" % (len(calm), len(ss))])
        head = ["server", "per s", "min..max", "/best peer", "/skeleton", "CPU us", "own us", "p50 us", "p99 us"]
        if name[0] == "G":
            head += ["start ms", "its CPU ms", "reload ms", "PSS KiB"]
        out.append("%s: %s\n%s\n" % (name, title(name), table(head + ["errors", "used"], rows)))
    return "\n".join(out)


# ------------------------------------------------------------------------- commands
def prepare(known, wanted):
    """Build what is run, then leave the machine's mounts: the last moment for both."""
    if os.geteuid() != 0:
        sys.exit("bench: root is needed (namespaces, a cgroup)")
    peers.build()
    if OURS in wanted:
        known[OURS].build()
        if not known[OURS].there():
            sys.exit("bench: %s is not there: cargo build --release, or USHERD=/path/to/usherd" % known[OURS].program)
    lab.enter()
    missing = [n for n in wanted if not known[n].there()]
    if missing:
        print("bench: not there, left out: %s (bench.py fetch)" % ", ".join(missing), file=sys.stderr)
    return [known[n] for n in wanted if known[n].there()]


def smoke(a, known):
    names = ["A", "E2", "E3", "W1", "W2"]
    run = Run(prepare(known, [OURS, "busybox-inetd", "openbsd-inetd", "skeleton"]), splits()["one"], 1, seconds=0.3)
    print(report(run.run(names), known))
    wrong = ["%s does not answer" % n for n in run.failed]
    for name in names if OURS not in run.failed else ():
        of = run.results[name]
        bad = {k: sum(s[k] for s in of[OURS]) for k in lab.ERRORS if any(s[k] for s in of[OURS])}
        if bad:
            wrong.append("%s: answers of usherd: %s" % (name, bad))
        # on a busy machine others lose datagrams, which is no fault here
        if sum(s["lost"] for s in of[OURS]) > sum(s["ok"] for s in of[OURS]) / 100:
            wrong.append("%s: usherd lost more than 1 %%" % name)
        for p, ss in of.items():
            r = ratio(value(of[OURS], "rate"), value(ss, "rate"))
            if not r or not math.isfinite(r):
                wrong.append("%s: no ratio of usherd and %s" % (name, p))
    print("\n".join("smoke: " + w for w in wrong) or "smoke: ok")
    return 1 if wrong else 0


def run_any(a, known):
    chosen = prepare(known, a.peers or [n for n in known])
    lab.Noise.budget = a.budget
    run = Run(chosen, splits()[a.split], a.rounds)
    try:
        run.run(a.scenarios or ["A", "A1", "A2", "A3", "B", "C", "E1", "E2", "E3", "E4", "G1", "G1000", "I"])
    finally:
        print(report(run.results, known))
        print("split: %s. %s." % (a.split, noise_line()))
        keep(a.json, {a.split: run.results})
    return 0


def bars(a, known):
    goals = tomllib.loads((lab.HERE / "bars.toml").read_text())
    wanted = [b for b in goals["bars"] if not a.only or b["scenario"] in a.only]
    subjects = dict.fromkeys([OURS, *(b.get("who", OURS) for b in wanted)])
    chosen = prepare(known, [*subjects, *goals["peers"], "skeleton"])
    results = {}
    for split, cpus in splits().items():
        lab.Noise.budget = 30
        names = {n for b in wanted if b["split"] == split for n in (b["scenario"], b["of"]) if n in NAMES}
        if names:
            print("split:", split, file=sys.stderr)
            results[split] = Run(chosen, cpus, 5).run(names)
    keep(a.json, results)

    rows, reached, ties, worst = [], 0, 0, 0.0
    for b in wanted:
        of = results[b["split"]].get(b["scenario"], {})
        val = {p: value(ss, b["what"]) for p, ss in of.items()}
        who = b.get("who", OURS)
        rivals = {p: v for p, v in val.items() if v and p not in subjects and not known[p].limit
                  and b["of"] in ("any", p, known[p].family)}
        if b["of"] in NAMES:
            other = value(results[b["split"]].get(b["of"], {}).get(who, []), b["what"])
            rivals = {b["of"]: other} if other else {}
        more = "min" in b
        goal = b["min"] if more else b["max"]
        row = [b["scenario"], b["split"], b["name"] if who == OURS else "%s (%s)" % (b["name"], who), b["of"], "%s %.2f" % (">=" if more else "<=", goal)]
        if not rivals:
            rows.append(row + ["-", "-", "-", "no peer"])
            continue
        best = (max if more else min)(rivals, key=rivals.get)
        mine = ratio(val.get(who), rivals[best])
        missed = math.inf if mine is None else (goal / mine if more else mine / goal) - 1
        bad = errors(of.get(who, []))
        if missed <= 0 and not bad:
            verdict, reached = "ok", reached + 1
        elif missed <= goals["tie"] and not bad:
            verdict, ties = "tie", ties + 1
        else:
            verdict = "no answer" if mine is None else "%d errors" % bad if bad else "short"
        worst = max(worst, math.inf if bad else missed)
        rows.append(row + [show(mine, "%.2f"), show(ratio(val.get("skeleton"), rivals[best]), "%.2f"),
                           "%s %.4g" % (best, rivals[best]), verdict])
    print(table(["scenario", "split", "bar", "against", "goal", "measured", "skeleton", "the best of them", ""], rows, words=(0, 1, 2, 3, 7, 8)))
    print("bars: %d of %d reached, %d tied. %s." % (reached, len(wanted), ties, noise_line()))
    return 1 if a.fail_over is not None and worst * 100 > a.fail_over else 0


def syscalls(a, known):
    """strace of n spaced-out connections: the server itself, and its child until exec"""
    rows = []
    svc = SERVICES["nobody" if a.user == "nobody" else "tiny"]
    started = re.compile(r"^(\w+)\(")
    run = Run([p for p in prepare(known, a.peers or [n for n in known]) if p.can(svc)], splits()["both"], 1)
    for p in run.peers:
        server = run.start(p, [svc])
        if not server:
            continue
        try:
            traces = server.work / "trace"
            traces.mkdir()
            mains = server.pids()
            threads = {t for m in mains for t in os.listdir("/proc/%d/task" % m)}
            st = subprocess.Popen(["strace", "-ff", "-qq", "-o", str(traces / "t")] + [w for m in mains for w in ("-p", str(m))],
                                  stderr=subprocess.DEVNULL)
            time.sleep(0.6)
            got = lab.sample_once(server, svc, ["conn", "-r", "10", "-d", str(a.n / 10), "-e", "hello\n", "-T", "5"], run.client_cpus)
            time.sleep(0.3)
            st.send_signal(signal.SIGTERM)
            st.wait()
            own, child, how = collections.Counter(), collections.Counter(), set()
            for f in traces.iterdir():                         # one file for each process
                for line in f.read_text(errors="replace").splitlines():
                    m = started.match(line)
                    if not m:
                        continue
                    call = m[1]
                    if f.suffix[1:] in threads:
                        own[call] += 1
                        if call in ("clone", "clone3", "fork", "vfork"):
                            how.add("fork" if call == "fork" or call != "vfork" and "CLONE_VM" not in line
                                    else "vfork" if call == "vfork" or "CLONE_VFORK" in line else "CLONE_VM")
                    else:
                        child[call] += 1
                        if call.startswith("execve"):
                            break
            n = max(got["ok"], 1)
            words = lambda c: " ".join(k + ("" if round(v / n, 1) == 1 else "*%.3g" % (v / n))
                                       for k, v in c.most_common() if v / n > 0.15)
            rows.append((p.name, ",".join(sorted(how)), own.total() / n, child.total() / n, words(own), words(child)))
        finally:
            server.stop()
    for name, how, own, child, w1, w2 in sorted(rows, key=lambda r: r[2] + r[3]):
        print("%-16s %-9s server %5.1f  child before exec %5.1f\n    server: %s\n    child:  %s" % (name, how, own, child, w1, w2))
    return 0


def verdicts(a, known):
    """the goal of verdict/src/main.rs, reached or not"""
    return subprocess.run(["cargo", "run", "--release", "--quiet", "--manifest-path", str(lab.HERE / "verdict/Cargo.toml")]).returncode


def keep(path, results):
    if path:
        path.write_text(json.dumps(results))


def show_list(a, known):
    print("\n".join("%-6s %s" % (n, title(n)) for n in NAMES) + "\n")
    print("\n".join("%-16s %-4s %s" % (p.name, "yes" if p.there() else "no", p.program) for p in known.values()))
    return 0


def main():
    known = peers.known()

    def choice(allowed):
        def split(text):
            for word in text.split(","):
                if word not in allowed:
                    raise argparse.ArgumentTypeError("%r is none of %s" % (word, " ".join(allowed)))
            return text.split(",")
        return split
    absolute = lambda text: pathlib.Path(text).absolute()       # later we have another root
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = ap.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function, **options):
        c = sub.add_parser(name)
        c.set_defaults(call=function)
        for o, kw in options.items():
            c.add_argument("--" + o.replace("_", "-"), **kw)
    servers = {"type": choice(known), "help": "names, comma-separated (all that are there)"}
    raw = {"type": absolute, "metavar": "FILE", "help": "also write the raw numbers"}
    command("smoke", smoke)
    command("bars", bars, only={"type": choice(NAMES), "help": "scenarios"}, json=raw,
            fail_over={"type": float, "metavar": "PERCENT", "help": "exit 1 when a bar is missed by more"})
    command("run", run_any, peers=servers, scenarios={"type": choice(NAMES)}, json=raw,
            rounds={"type": int, "default": 3}, split={"choices": ("one", "both"), "default": "one"},
            budget={"type": float, "default": 45, "help": "seconds for taking disturbed samples again (45)"})
    command("syscalls", syscalls, peers=servers, n={"type": int, "default": 20, "help": "connections (20)"},
            user={"choices": ("root", "nobody"), "default": "root"})
    command("verdicts", verdicts)
    command("fetch", lambda a, k: peers.fetch())
    command("list", show_list)
    a = ap.parse_args()
    random.seed(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # through the finally clauses
    try:
        return a.call(a, known)
    except (OSError, subprocess.CalledProcessError) as e:
        print("bench: %s" % e, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
