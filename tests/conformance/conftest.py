"""What the cases share: a machine made of meters of known power, and the programs that measure it.

A case is named test_NN_what: NN is the row of the list of pitfalls it belongs to, 19 and above what was met since.
Its docstring tells what went wrong and where that can be read. It runs the programs as they are, and a program with
that bug fails it."""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib")]
import me_test  # noqa: E402
from me_rig import Rig, true_fj  # noqa: E402

POWERCAP = "sys/class/powercap"


def environment(home, **more):
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": str(home), "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **more}


class Probe:
    """What `me probe --json` says of a root."""

    def __init__(self, root, *options, env=None):
        done = me_test.run([me_test.program("me"), "probe", "--root", root, "--json", *options], env=env, check=True)
        self.all = json.loads(done.out)
        self.sources = {source["name"]: source for source in self.all["sources"]}
        channels = [{**channel, "source": source["name"]} for source in self.all["sources"]
                    for channel in source["channels"]]
        self.channels = [channel for channel in channels if not channel.get("activity")]
        self.counted = [channel for channel in self.channels if channel["counted"]]

    def named(self, name):
        return [channel for channel in self.channels if channel["name"] == name]

    def of(self, source):
        return [channel for channel in self.channels if channel["source"] == source]


class Run:
    """What `me report --format json` says of an experiment with one repeat."""

    def __init__(self, folder, done):
        self.folder, self.rc, self.err = folder, done.rc, done.err
        report = me_test.run([me_test.program("me"), "report", folder, "--format", "json"], check=True)
        self.all = json.loads(report.out)
        self.repeat = next(row for row in self.all["repeats"] if row["phase"] == "run")
        self.energy_j, self.duration_s = self.repeat["energy_j"], self.repeat["duration_s"]
        self.summary = self.all["summary"][0]
        self.machine = self.all["machines"][0]
        self.channels = {row["channel"]: row for row in self.all["channels"]}
        self.energies = {row["channel"]: row for row in self.all["energies"] if row["phase"] == "run"}

    def text(self):
        return me_test.run([me_test.program("me"), "report", self.folder], check=True).out

    def assert_energy(self, power_w, slack_s=0.006):
        """Power times duration, but for a few milliseconds at the edges: every bug here is off by far more."""
        assert self.energy_j is not None, self.energies
        assert abs(self.energy_j - power_w * self.duration_s) <= power_w * slack_s + 1e-6, (self.repeat, self.energies)


class Machine:
    """A machine whose meters stand at `root`. `rig` is None where there are only plain files."""

    def __init__(self, folder, root, rig=None, env=None):
        self.folder, self.root, self.rig, self.env = folder, root, rig, env or {}
        self.runs = 0

    def probe(self, *options):
        return Probe(self.root, *options, env=environment(self.folder, **self.env))

    def bench(self, *words, timeout=60):
        """me_bench with these words, which hold the command: one machine, one repeat, in this process's place."""
        self.runs += 1
        name = f"{self.root.name or 'here'}-{self.runs}"
        argv = [me_test.program("me_bench"), name, "--root", self.root, "--progress", "none", *words]
        done = me_test.run(argv, timeout, cwd=self.folder, env=environment(self.folder, **self.env))
        assert done.rc in (0, 1), done.err
        return Run(self.folder / name, done)

    def sleep(self, seconds, *options, **more):
        return self.bench(*options, "--", "sleep", str(seconds), **more)

    def script(self, *steps, options=(), **more):
        """A workload of steps: a number is a pause in seconds, a text a command to the meters."""
        lines = [f"sleep {step}" if isinstance(step, (int, float)) else f"echo '{step}' > '{self.root}/.control'"
                 for step in steps]
        return self.bench(*options, "--", "sh", "-ec", "; ".join(lines), **more)

    def true_j(self, run, zone, before, after):
        """The energy of the run from the meter's states before and after it, whatever happened between."""
        ahead = time.time_ns() - time.monotonic_ns()
        begin = run.repeat["start_unix_ns"] - ahead
        return (true_fj(after, begin + round(run.duration_s * 1e9)) - true_fj(before, begin)) * 1e-15


@pytest.fixture
def place():
    """A folder that everybody can see: pytest's own are closed to other users."""
    folder = Path(tempfile.mkdtemp(prefix="me-conformance-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def machine(place):
    """machine(zones=[SPEC], files=[SPEC]): meters of me_rig below one root. machine(plain={path: text}): files."""
    rigs = []

    def make(zones=(), files=(), plain=None):
        root = place / f"machine{len(list(place.iterdir()))}"
        if plain is not None:
            for path, text in plain.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            return Machine(place, root)
        rig = Rig(root, *zones, files=files, options=["-p", POWERCAP])
        rigs.append(rig)
        return Machine(place, root, rig)

    yield make
    for rig in rigs:
        rig.__exit__()


@pytest.fixture
def here(place):
    """This machine, for sources that are asked of nothing else; name them, since it may have others."""
    return Machine(place, Path("/"))


@pytest.fixture
def gpus(place):
    """gpus("nvml", "gpus=2,power=300:150"): this machine, with a stub of the vendor's library (tests/stubs)."""
    def make(library, stub, **more):
        folder = me_test.build_dir() / "tests" / "stubs" / library
        assert folder.is_dir(), f"{folder}: not built"
        env = {"LD_LIBRARY_PATH": str(folder), f"ME_STUB_{library.upper()}": stub, **more}
        return Machine(place, Path("/"), env=env)

    return make


@pytest.fixture
def recorded(place):
    """recorded(name): a machine of tests/machines."""
    return lambda name: Machine(place, TESTS / "machines" / name)
