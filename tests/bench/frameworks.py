"""What a training costs under me_bench beside the same training alone, and what its parts cost."""

import os
import pathlib
import resource
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/python"))
FRAMEWORKS = "native", "keras", "pl", "pytorch", "jax", "sklearn", "xgboost"
SAMPLES = 12000  # for the pairs, which are many; the table below trains on all images


def cpu_s(argv, **more):
    """CPU seconds of a command and all that it waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def environments():
    default = pathlib.Path.home() / ".local/share/machine-energy/frameworks"
    return pathlib.Path(os.environ.get("ME_FRAMEWORKS_DIR") or default)


def alone(name, build):
    """The argument vector of the same training without Machine Energy around it."""
    if name == "native":
        return [str(build / "me_kernel"), "native", f"--samples={SAMPLES}"]
    return [str(environments() / name / "bin/python"), str(ROOT / f"src/workload/frameworks/train_{name}.py"),
            f"--samples={SAMPLES}"]


def bench(folder, experiment, *words):
    return ["mpirun", "-n", "1", "me_bench", str(folder / experiment), "--force", "--progress", "none", *words]


def overhead(folder, name, build, pairs, env):
    """CPU seconds, pair by pair: the workload's own under me_bench, and all of me_bench less its start."""
    import machine_energy
    own, whole, plain = [], [], []
    outside = dict(env, PYTHONPATH=str(ROOT / "scripts/python"))
    for _ in range(pairs):
        plain.append(cpu_s(alone(name, build), env=outside))
        start = cpu_s(bench(folder, "start", "--", "true"), env=env)
        whole.append(cpu_s(bench(folder, name, "--framework", name, "--samples", str(SAMPLES)), env=env) - start)
        repeats = machine_energy.read(folder / name).repeats
        own.append(repeats[repeats.phase == "run"].cpu_s.sum())
    base = statistics.median(plain)
    for what, values in ("its own, under me_bench", own), ("with me_bench and its sampler", whole):
        more = [100 * (value / alike - 1) for value, alike in zip(values, plain)]
        print(f"  {name:<8} {what:<32} {statistics.median(values):8.2f} s beside {base:.2f} s alone: "
              f"{statistics.median(more):+.2f} % (pairs {min(more):+.2f} to {max(more):+.2f}, n {pairs})")


def parts(folder, env):
    """Time and energy of imports and training on all images, of each framework that is here."""
    import machine_energy
    there = [name for name in FRAMEWORKS if name == "native" or (environments() / name / "bin/python").exists()]
    missing = [name for name in FRAMEWORKS if name not in there]
    subprocess.run(bench(folder, "all", "--framework", ",".join(there)), check=True, env=env)
    result = machine_energy.read(folder / "all")
    print(f"  energy is {', '.join(sorted(set(result.summary['class'])))}; {len(there)} frameworks, all images")
    print(f"  {'':<9}{'import':>9}{'':>9}  {'train':>9}{'':>9}  {'whole run':>9}{'':>9}  {'J/sample':>10}{'native':>8}  accuracy")
    native = result.summary[result.summary.workload == "native"].j_per_work.iloc[0]
    for row in result.summary.itertuples():
        run = result.repeats[(result.repeats.phase == "run") & (result.repeats.workload == row.workload)].iloc[0]
        regions = result.regions[result.regions["repeat"] == run["repeat"]].set_index("region")
        cells = "".join(f"{s:>7.2f} s{j:>7.1f} J  " for s, j in (
            pair(regions, "import"), pair(regions, "train"), (run.duration_s, run.energy_j)))
        print(f"  {row.workload:<9}{cells}{row.j_per_work:10.6f}{row.j_per_work / native:7.2f}x  {row.accuracy:.3f}")
    if missing:
        print(f"  not installed here: {', '.join(missing)} (scripts/install-framework)")


def pair(regions, name):
    if name not in regions.index:
        return 0.0, 0.0
    return regions.loc[name].duration_s, regions.loc[name].energy_j


def run(folder, build, pairs, env):
    folder = pathlib.Path(folder)
    for name in ("native", "keras"):
        if name == "native" or (environments() / name / "bin/python").exists():
            overhead(folder, name, build, pairs, env)
    parts(folder, env)
