"""What Machine Energy and its peers say of one rig: joules beside the true ones, and what saying so costs.

The tools read /sys/class/powercap. They run as they are in a mount namespace of their own, where the rig
lies at that place, and in a network namespace that has nothing but its loopback. Both end with the
process that made them.

The true energy follows from the rig's power and the workload's own stamps of its begin and end, by one
clock; where the power falls in the middle, the rig says when it did."""
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
from me_rig import Rig  # noqa: E402
import me_test  # noqa: E402

PEERS = ("perun", "codecarbon")
POWERCAP = pathlib.Path("/sys/class/powercap")
ZONE = "intel-rapl:0"
WINDOW_S = 0.6, 2.6  # of the workload's sleep: in it the tool's CPU time is what its samples cost
CASES = (  # what, seconds, power at first, power from the middle on, range of the counter
    ("constant: 3.3 s at 50 W", 3.3, 50, None, None),
    ("a fall: 3.3 s, 300 W and from the middle on 100 W", 3.3, 300, 100, None),
    ("wraps: 5.3 s at 50 W, the counter starts again every 100 J", 5.3, 50, None, 100_000_000),
)

NOTES = """    Medians of {runs}. wall, CPU: the tool's whole run, with its start. asleep%: share of a CPU that
    all its processes use in 2 s in which the workload sleeps; us/sample: that by the samples due.
    Machine Energy reads hardware events and the load as well, with * the energy alone; its run
    begins before the command is started and ends when it was waited for. perun measures a command,
    or a Python script from inside. CodeCarbon: its CPU part; a modelled memory comes on top."""


# -- installing -------------------------------------------------------------------------------------------


def install(folder):
    """A virtual environment with the peers; {name: version, or why there is none}."""
    made = subprocess.run(["/usr/bin/python3", "-m", "venv", folder], capture_output=True, text=True)
    if made.returncode:
        return {name: "no virtual environment: apt-get install python3-venv" for name in PEERS}
    found = {}
    for name in PEERS:
        words = [f"{folder}/bin/pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check", name]
        done = subprocess.run(words, capture_output=True, text=True)
        last = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        found[name] = f"could not be installed: {last}" if done.returncode else None
    return {name: why or version(f"{folder}/bin/python", name) for name, why in found.items()}


def version(python, name):
    code = f"import importlib.metadata as m; print(m.version('{name}'))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "not installed (scripts/bench --with-peers installs it)"


def is_version(text):
    return text[:1].isdigit()


# -- tools ------------------------------------------------------------------------------------------------


class Tool:
    """A row: how the tool is called, and where it says its joules."""

    def __init__(self, name, period_s, argv, joules, script=False):
        self.name, self.period_s, self.argv, self.joules, self.script = name, period_s, argv, joules, script

    def workload(self, words):
        return [str(HERE / "peer_work.py"), *words] if self.script else [me_test.program("tests/stamped_sleep"), *words]


def ours(period_s, text, *more):
    def joules(folder):
        report = json.loads(subprocess.run(["me", "report", "x", "--format", "json"], cwd=folder, check=True,
                                           capture_output=True).stdout)
        return next(row["energy_j"] for row in report["repeats"] if row["phase"] == "run")
    words = ["mpirun", "-n", "1", "me_bench", "x", "--sample-hz", f"{1 / period_s:g}", *more, "--"]
    return Tool(f"Machine Energy, {text}", period_s, lambda _, work: words + work, joules)


def perun(bin_dir, period_s, script):
    def argv(folder, work):
        words = [f"{bin_dir}/perun", "monitor", "--sampling_period", str(period_s), "-f", "json",
                 "--data-out", str(folder)]
        # A command by its bare name: perun lays its result beside a command that is given by a path.
        return words + (work if script else ["-b", pathlib.Path(work[0]).name, *work[1:]])

    def joules(folder):
        return json.loads(next(folder.glob("*.json")).read_text())["metrics"]["energy"]["sum"]
    return Tool(f"perun, {period_s:g} s, {'script' if script else 'command'}", period_s, argv, joules, script)


def codecarbon(bin_dir, period_s):
    def argv(folder, work):
        return [f"{bin_dir}/python", str(HERE / "peer_codecarbon.py"), str(period_s), str(folder / "said.json"), *work]

    def joules(folder):
        said = json.loads((folder / "said.json").read_text())
        return said["energy_j"]
    return Tool(f"CodeCarbon, {period_s:g} s", period_s, argv, joules)


def tools(bin_dir, found):
    alone = "--sources", "powercap"
    rows = [ours(1, "1 s"), ours(0.1, "0.1 s"), ours(0.1, "0.1 s *", *alone), ours(0.001, "1 ms *", *alone)]
    if is_version(found["perun"]):
        rows += [perun(bin_dir, period, script) for script in (False, True) for period in (1, 0.1)]
    if is_version(found["codecarbon"]):
        rows += [codecarbon(bin_dir, period) for period in (1, 0.1)]
    return rows


# -- one run ----------------------------------------------------------------------------------------------


def descendants(pid):
    """The process and all below it."""
    tree, found = {}, [pid]
    for other in me_test.all_pids():
        text = me_test.read_proc(other, "stat").decode(errors="replace")
        if text:
            tree.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(other)
    for one in found:
        found += tree.get(one, [])
    return found


def cpu_ns(pid):
    """CPU time so far of a process and all below it, threads that ended included."""
    total = 0
    for one in descendants(pid):
        try:
            total += time.clock_gettime_ns((~one << 3) | 2)  # its CPU clock, as clock_getcpuclockid(3) gives it
        except OSError:
            continue  # it ended
    return total


def stamps(path):
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def sleep_until(moment_ns):
    time.sleep(max(0, moment_ns - time.monotonic_ns()) / 1e9)


def cost_of_samples(process, stamp, period_s):
    """CPU microseconds a sample while the workload sleeps, and its share of a CPU in percent; NaN if it did
    not get that far."""
    def has_ended():  # and waits to be waited for, so that wait4 can tell what it used
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    me_test.wait_until(lambda: stamps(stamp) or has_ended(), 60)
    if not stamps(stamp):
        return math.nan, math.nan
    begin_ns = stamps(stamp)[0]
    sleep_until(begin_ns + int(WINDOW_S[0] * 1e9))
    before = cpu_ns(process.pid)
    sleep_until(begin_ns + int(WINDOW_S[1] * 1e9))
    spent_s, length_s = (cpu_ns(process.pid) - before) / 1e9, WINDOW_S[1] - WINDOW_S[0]
    return spent_s * 1e6 / (length_s / period_s), 100 * spent_s / length_s


def true_joules(rig, begin_ns, end_ns, first_w, then_w):
    if then_w is None:
        return first_w * (end_ns - begin_ns) / 1e9
    fall_ns = int(rig.state(ZONE)["since_ns"])
    return (first_w * (fall_ns - begin_ns) + then_w * (end_ns - fall_ns)) / 1e9


def run_once(tool, case, rig, folder):
    _, seconds, first_w, then_w, _ = case
    folder.mkdir()
    stamp = folder / "stamps"
    control = [str(POWERCAP / ".control"), f"{ZONE} power {then_w}"] if then_w else []
    rig.tell(f"{ZONE} power {first_w}")
    argv = tool.argv(folder, tool.workload([str(stamp), str(seconds), *control]))
    with open(folder / "log", "w") as log:
        begin = time.monotonic()
        process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        sample_us, share = cost_of_samples(process, stamp, tool.period_s)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.monotonic() - begin
    if process.returncode or len(stamps(stamp)) != 2:
        last = (folder / "log").read_text().strip().splitlines()[-1:]
        raise RuntimeError(f"exit {process.returncode}; {''.join(last)}")
    return {"said": tool.joules(folder), "true": true_joules(rig, *stamps(stamp), first_w, then_w), "wall": wall_s,
            "cpu": usage.ru_utime + usage.ru_stime, "sample": sample_us, "share": share}


# -- the table --------------------------------------------------------------------------------------------


def print_row(tool, results):
    def middle(key):
        return statistics.median(result[key] for result in results)
    errors = sorted(100 * (result["said"] / result["true"] - 1) for result in results)
    spread = f"({errors[0]:+.2f} .. {errors[-1]:+.2f})"
    print(f"    {tool.name:<23}{middle('said'):8.2f} {middle('true'):8.2f} {statistics.median(errors):+7.2f} "
          f"{spread:<19}{middle('wall'):6.2f} {middle('cpu'):6.2f} {middle('share'):7.2f} {middle('sample'):9.0f}")


def run_case(case, rows, runs, folder):
    what, _, first_w, _, range_uj = case
    spec = f"{ZONE},name=package-0,power={first_w},mode=0444" + (f",range={range_uj}" if range_uj else "")
    print(f"  {what}")
    results = {tool: [] for tool in rows}
    with Rig(POWERCAP, spec) as rig:
        for turn in range(runs):  # the tools take turns
            for number, tool in enumerate(rows):
                try:
                    results[tool].append(run_once(tool, case, rig, folder / f"{turn}-{number}"))
                except (RuntimeError, OSError, ValueError, KeyError, StopIteration, subprocess.SubprocessError) as why:
                    results[tool].append(None)
                    print(f"    {tool.name}: failed: {str(why)[:160]}")
    for tool in rows:
        good = [result for result in results[tool] if result]
        if good:
            print_row(tool, good)
    sys.stdout.flush()


def inside(folder, bin_dir, runs, found):
    """In the namespaces."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=1m", "tmpfs", "/sys/class"], check=True)
    POWERCAP.mkdir()
    rows = tools(bin_dir, found)
    print(f"    {'tool, period':<23}{'said J':>8} {'true J':>8} {'error %':>7} {'(least .. most)':<19}{'wall s':>6} "
          f"{'CPU s':>6} {'asleep%':>7} {'us/sample':>9}")
    for number, case in enumerate(CASES):
        (folder / str(number)).mkdir()
        run_case(case, rows, runs, folder / str(number))
    print(NOTES.format(runs=runs))


# -- outside ----------------------------------------------------------------------------------------------


def run(folder, runs, with_peers):
    """All of it, in a folder that the caller removes."""
    folder = pathlib.Path(folder)
    if os.geteuid() != 0:
        print("  left out: needs root, for a mount namespace in which the rig lies at /sys/class/powercap")
        return
    for program, package in (("unshare", "util-linux"), ("ip", "iproute2"), ("mpirun", "openmpi-bin")):
        if not shutil.which(program):
            print(f"  left out: there is no {program}: apt-get install {package}")
            return
    bin_dir = folder / "peers/bin"
    if with_peers:
        found = install(folder / "peers")
    else:
        bin_dir = pathlib.Path(shutil.which("perun") or sys.executable).parent
        found = {name: version(str(bin_dir / "python3"), name) for name in PEERS}
    print("  " + "; ".join(f"{name}: {what}" for name, what in found.items()))
    sys.stdout.flush()
    environment = {name: value for name, value in os.environ.items() if not name.lower().startswith("codecarbon_")}
    environment.update(dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(folder)),
                       PATH=f"{me_test.build_dir()}/tests:{environment['PATH']}", PYTHONDONTWRITEBYTECODE="1")
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--propagation", "private", sys.executable, __file__, str(folder), str(bin_dir), str(runs),
             json.dumps(found)]
    subprocess.run(words, env=environment, check=True)


if __name__ == "__main__":
    inside(pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
