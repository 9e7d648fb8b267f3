"""What a container costs: the time until the first sample, and the CPU seconds of the same training, beside the same
without a container on the same host."""

import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/python"))
SAMPLES = 12000


def first_sample_s(result):
    """Unix time of the first sample of the first repeat."""
    return result.series(1, 1).index[0].value / 1e9


def run(folder, runs):
    import machine_energy
    from cluster import Cluster, HostSpec, zone
    from engine import Engine, Registry
    from image import Image, native_root
    with Cluster(Path(folder, "c"), [HostSpec("n1", [zone(power=50)], engine=True)]) as c, Registry(c.head) as registry:
        image = registry.push(Image(Path(c.work, "image"), root=native_root()), "me:1")
        with Engine(c["n1"], [registry]):
            machine = c["n1"].machine(1, login="key")
            configs = {"without": c.write_config([machine], name="plain.json"),
                       "in a container": c.write_config([machine], name="docker.json", run_docker=True, docker_image=image)}
            walls, cpu = {what: [] for what in configs}, {what: [] for what in configs}
            for i in range(runs + 1):  # the first of each copies me_bench there, or pulls
                for what, config in configs.items():
                    begin = time.time()
                    c.head.run(["me", "run", config, "exp", "--force", "-o", f"{Path(config).stem}.hosts", "--framework",
                                f"native --samples {SAMPLES}"], check=True, timeout=300)
                    result = machine_energy.read(Path(c.work, "exp"))
                    if i:
                        walls[what].append(first_sample_s(result) - begin)
                        cpu[what].append(result.repeats.cpu_s.sum())
    report("me run to the first sample", walls, "s")
    report(f"CPU seconds of native --samples {SAMPLES}", cpu, "s")


def report(title, values, unit):
    for what, list_of in values.items():
        print(f"  {title + ', ' + what:<58} {statistics.median(list_of):8.3f} {unit}   (min {min(list_of):.3f}, "
              f"max {max(list_of):.3f}, n {len(list_of)})")
    pairs = list(zip(values["without"], values["in a container"]))
    print(f"  {'more, pair by pair':<58} {statistics.median(b - a for a, b in pairs):8.3f} {unit}   "
          f"({100 * statistics.median(b / a - 1 for a, b in pairs):+.2f} %)")
