"""Where nothing can be read, it says so, why, and what to do; what it models instead, it marks."""

import json
import shutil

import pytest

import me_test
from me_rig import cpuinfo

STAT = "cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 100 0 100 1000 0 0 0 0 0 0\n"


def plain(memory_gb=16, **more):
    return {"proc/cpuinfo": cpuinfo("Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz", model=85), "proc/stat": STAT,
            "proc/meminfo": f"MemTotal:  {memory_gb * 1024 * 1024} kB\n", **more}


def test_11_a_machine_without_a_counter(recorded):
    """Nothing was read, and 0 is reported without a word. Helmholtz-AI-Energy/perun #87, mlco2/codecarbon #1316,
    hubblo-org/scaphandre #25."""
    run = recorded("vm-no-sensors").sleep(0.3)
    assert run.energy_j is None or run.energy_j > 0
    assert run.summary["class"] == "modelled" and "model" in run.err.lower()
    assert "MODELLED" in run.text().upper()


def test_11_a_modelled_machine_is_not_ranked_beside_a_measured_one(machine, recorded):
    """An estimate that wins over a measurement. mlco2/codecarbon #1316."""
    modelled = recorded("vm-no-sensors").sleep(0.2)
    measured = machine(["intel-rapl:0,name=package-0,power=50"]).sleep(0.2)
    assert modelled.summary["class"] == "modelled" and measured.summary["class"] == "counter"
    assert modelled.summary["provenance"] == "replay" and measured.summary["provenance"] == "fake"


def test_11_a_counter_of_no_use_is_none(machine):
    """A counter that says 0 for ever is reported as 0 J. hubblo-org/scaphandre #25."""
    m = machine(["intel-rapl:0,name=package-0,power=0"])
    m.rig.tell("intel-rapl:0 freeze")
    probe = m.probe()
    assert not [channel for channel in probe.counted if channel["source"] == "powercap"]


def as_nobody(place, *words):
    """A program of the build as an ordinary user, who cannot see the build."""
    program = place / words[0]
    if not program.exists():
        shutil.copy(me_test.program(words[0]), program)
        program.chmod(0o755)
    return me_test.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, *words[1:]])


def test_12_the_counter_is_for_root_only(machine, place):
    """"Permission denied", and nothing about what to do. mlco2/codecarbon #232 #244, Helmholtz-AI-Energy/perun #49."""
    m = machine(["intel-rapl:0,name=package-0,power=50"])
    said = as_nobody(place, "me", "probe", "--root", m.root)
    assert said.rc == 0 and "root only" in said.out
    for word in ("chgrp", "chmod", "udev", "CAP_DAC_READ_SEARCH"):
        assert word in said.out, said.out
    m.rig.tell("intel-rapl:0 mode 0444")
    assert "counted" in as_nobody(place, "me", "probe", "--root", m.root).out


def test_12_the_cure_cures(machine, place):
    """A cure that does not help this user on this machine. mlco2/codecarbon #244. It is taken at its word here: what it
    tells to run is run, on this root, and then the same user reads."""
    m = machine(["intel-rapl:0,name=package-0,power=50", "intel-rapl:0:0,name=dram,power=5"])
    said = json.loads(as_nobody(place, "me", "probe", "--root", m.root, "--json").out)
    cure = next(source["cure"] for source in said["sources"] if source["name"] == "powercap")
    assert cure.startswith("sudo ") and "/sys/class/powercap" in cure
    here = cure[len("sudo "):].replace("/sys/class/powercap", f"{m.root}/sys/class/powercap")
    me_test.run(["sh", "-c", here], check=True)
    said = json.loads(as_nobody(place, "me", "probe", "--root", m.root, "--json").out)
    assert [channel["name"] for source in said["sources"] for channel in source["channels"] if channel["counted"]] == [
        "package-0", "package-0/dram"]


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_13_a_container_hides_the_counters(machine, mark):
    """A container without /sys/class/powercap: "no RAPL here", on a machine that has it. ml-energy/zeus PR#118."""
    source = machine(plain=plain(**{mark: ""})).probe().sources["powercap"]
    assert not source["found"] and "container" in source["reason"]
    assert "/sys:/host/sys" in source["cure"] and "--root /host" in source["cure"]


def test_13_a_container_whose_links_lead_nowhere(machine):
    """The class folder is mounted, what its links lead to is not. ml-energy/zeus PR#118."""
    m = machine(plain=plain(**{".dockerenv": ""}))
    (m.root / "sys/class/powercap").mkdir(parents=True)
    (m.root / "sys/class/powercap/intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl/intel-rapl:0")
    source = m.probe().sources["powercap"]
    assert "lead nowhere" in source["reason"] and source["cure"]


def test_15_memory_is_no_heater(machine):
    """3 W for 8 GB make 768 W of 2 TiB. mlco2/codecarbon #629. Whatever is modelled for the same machine with 2 TiB
    instead of 16 GiB, memory adds less than 200 W: 16 to 32 modules of a few watts."""
    small, large = (machine(plain=plain(memory_gb=gb)).sleep(0.3) for gb in (16, 2048))
    watts = [run.energy_j / run.duration_s for run in (small, large)]
    assert 0 < watts[0] < 400 and watts[0] - 1 <= watts[1] < watts[0] + 200
