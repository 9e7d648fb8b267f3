"""Domains: what contains what, what is the same thing twice, and in which unit it counts."""

import pytest

from me_rig import cpuinfo

PACKAGE = "intel-rapl:0,name=package-0,power=50"
def processor(place, *what, **more):
    """The SPEC of proc/cpuinfo."""
    (place / "cpuinfo").write_text(cpuinfo(*what, **more))
    return f"proc/cpuinfo,from={place / 'cpuinfo'}"


def test_07_the_platform_contains_its_packages(machine):
    """psys and package added together. ColinIanKing/powerstat #4, mlco2/codecarbon PR#950,
    hubblo-org/scaphandre #116."""
    run = machine([PACKAGE, "intel-rapl:0:0,name=core,power=30", "intel-rapl:0:1,name=uncore,power=5",
                   "intel-rapl:1,name=psys,power=90"]).sleep(0.3)
    run.assert_energy(90)
    assert run.summary["scopes"] == "platform"


def test_07_a_package_contains_its_cores(machine):
    """Package and core added together. powercap/powercap #3, mlco2/codecarbon PR#950."""
    run = machine([PACKAGE, "intel-rapl:0:0,name=core,power=30", "intel-rapl:0:1,name=uncore,power=5"]).sleep(0.3)
    run.assert_energy(50)
    assert set(run.energies) == {"package-0", "package-0/core", "package-0/uncore"}  # but all are told


def test_07_memory_is_beside_its_package(machine):
    """The other way round: dram left out, since it looks like a part of its package. hubblo-org/scaphandre #116."""
    run = machine([PACKAGE, "intel-rapl:0:0,name=dram,power=8"]).sleep(0.3)
    run.assert_energy(58)
    assert run.summary["scopes"] == "package+dram"


def test_07_one_package_by_two_ways(machine):
    """The same zone again by way of intel-rapl-mmio. powercap/powercap #3, mlco2/codecarbon PR#950."""
    run = machine([PACKAGE, "intel-rapl-mmio:0,name=package-0,mirror=intel-rapl:0"]).sleep(0.3)
    run.assert_energy(50)


def test_07_the_laptop_that_has_them_all(recorded):
    """psys, package, core, uncore and MMIO on one machine. mlco2/codecarbon PR#950."""
    assert [channel["name"] for channel in recorded("client-psys-mmio").probe().counted] == ["psys"]


def test_07_one_package_by_two_sources(machine, place):
    """The same counter read by two sources, perf and powercap, msr and powercap, and added.
    hubblo-org/scaphandre #116."""
    m = machine([PACKAGE], [processor(place, "Intel(R) Xeon(R) CPU E5-2690 v4"),
                            "dev/cpu/0/msr,msr=1,0x606=0xa0e03,0x611=power:50,0x619=power:8:15.3e-6"])
    m.sleep(0.3).assert_energy(50)
    run = m.sleep(0.3, "--sources", "powercap,msr")
    run.assert_energy(58)
    assert [row["counted"] for row in run.all["channels"] if row["channel"] == "package-0"].count(1) == 1


def test_07_apu_sensor_and_its_package(recorded):
    """The power sensor of an APU's graphics shows the package that RAPL counts. mlco2/codecarbon PR#950."""
    assert [(channel["source"], channel["name"]) for channel in recorded("amd-strix-halo-apu").probe().counted] == [
        ("powercap", "package-0")]


def test_08_dies_with_counters_of_their_own(machine):
    """Zones package-0-die-0 and package-0-die-1 go unrecognised, or one of them does. mlco2/codecarbon #1274."""
    run = machine(["intel-rapl:0,name=package-0-die-0,power=50",
                   "intel-rapl:1,name=package-0-die-1,power=30,offset=7"]).sleep(0.3)
    run.assert_energy(80)


def test_08_dies_that_mirror_one_counter(machine):
    """Each die shows the counter of its socket, and the sum is a multiple of it. mlco2/codecarbon #1274 #1379."""
    run = machine(["intel-rapl:0,name=package-0-die-0,power=68",
                   "intel-rapl:1,name=package-0-die-1,mirror=intel-rapl:0"]).sleep(0.3)
    run.assert_energy(68)


@pytest.mark.parametrize("model, name, unit_j", [
    (79, "Xeon(R) CPU E5-2690 v4", 15.3e-6), (85, "Xeon(R) Gold 6148", 15.3e-6),
    (106, "Xeon(R) Platinum 8380", 15.3e-6), (158, "Core(TM) i7-8700K", 2**-14)])
def test_09_the_unit_of_memory_is_that_of_the_model(machine, place, model, name, unit_j):
    """Servers count memory in 15.3 uJ whatever their unit register says, clients as it says: 4 times too much, or a
    quarter. RRZE-HPC/likwid #642 #39, geopm/geopm #1783."""
    m = machine(files=[processor(place, f"Intel(R) {name}", model=model),
                       f"dev/cpu/0/msr,msr=1,0x606=0xa0e03,0x611=power:50,0x619=power:8:{unit_j}"])
    run = m.sleep(0.4)
    memory = next(row for name, row in run.energies.items() if name.endswith("dram"))
    assert abs(memory["energy_j"] - 8 * run.duration_s) < 8 * 0.02
    run.assert_energy(58)


def test_09_the_unit_is_in_bits_8_to_12(machine, place):
    """Another mask gives a unit of 1, or any. tdurieux/EnergiBridge PR#9."""
    m = machine(files=[processor(place, "Intel(R) Core(TM) i7-8700K", model=158),
                       "dev/cpu/0/msr,msr=1,0x606=0xfffff0aff,0x611=power:50"])
    m.sleep(0.3).assert_energy(50)


def test_09_zen_has_no_memory_counter(machine, place):
    """Intel's registers read on AMD, where they mean nothing. RRZE-HPC/likwid #642."""
    m = machine(files=[processor(place, "AMD EPYC 7763", "AuthenticAMD", family=25, model=1),
                       "dev/cpu/0/msr,msr=1,0xc0010299=0xa1003,0xc001029a=power:2,0xc001029b=power:65,"
                       "0x606=0xa0e03,0x611=power:7,0x619=power:8"])
    run = m.sleep(0.3)
    run.assert_energy(65)
    assert not [name for name in run.energies if "dram" in name]


def test_09_memory_of_two_sockets(machine):
    """Two zones called dram are merged by their name. geopm/geopm #1783."""
    run = machine(["intel-rapl:0,name=package-0,power=50", "intel-rapl:0:0,name=dram,power=5",
                   "intel-rapl:1,name=package-1,power=40", "intel-rapl:1:0,name=dram,power=7"]).sleep(0.3)
    run.assert_energy(102)
    assert len([name for name in run.energies if name.endswith("dram")]) == 2


def test_10_zone_numbers_above_nine(machine):
    """A pattern of one digit misses zone 10. prometheus/node_exporter #1808, Helmholtz-AI-Energy/perun."""
    run = machine([f"intel-rapl:{i:x},name=package-{i},power={i + 1},offset={i}" for i in range(12)]).sleep(0.3)
    run.assert_energy(78)


def test_10_a_zone_that_cannot_be_read(machine):
    """One zone whose reads say EINVAL stops all of them. prometheus/node_exporter #2269."""
    m = machine([PACKAGE, "intel-rapl:0:0,name=core,power=5"])
    m.rig.tell("intel-rapl:0:0 fault EINVAL")
    m.sleep(0.3).assert_energy(50)


def test_10_a_zone_that_vanishes(machine):
    """A zone that is gone stops the reading, or counts on as 0. prometheus/node_exporter #1808."""
    m = machine([PACKAGE, "intel-rapl:1,name=package-1,power=30,offset=9"])
    run = m.script(0.2, "intel-rapl:1 vanish", 0.2)
    assert abs(run.energies["package-0"]["energy_j"] - 50 * run.duration_s) < 50 * 0.006
    assert run.energies["package-1"]["energy_j"] is None and run.energies["package-1"]["fault"]
    assert run.energy_j is None  # a total without one of its parts is no total


def test_10_a_zone_that_is_disabled(machine):
    """`enabled` is about power limits: a zone with 0 there counts on, and who skips it loses a package; one that stands
    at 0 has no meter behind it, and who adds it takes the machine for whole. prometheus/node_exporter #2269 #1808."""
    m = machine([PACKAGE, "intel-rapl:1,name=package-1,enabled=0,power=30,offset=9",
                 "intel-rapl:2,name=package-2,enabled=0,power=0"])
    dead = m.probe().named("package-2")
    assert all(not channel["counted"] and channel["why_not"] for channel in dead)
    m.sleep(0.3).assert_energy(80)


def test_10_two_zones_of_one_name(machine):
    """The package again, with the same name and index, in another folder: listed twice, or an error.
    prometheus/node_exporter #2147."""
    m = machine([PACKAGE, "intel-rapl:0:0,name=dram,power=8", "intel-rapl-mmio:0,name=package-0,mirror=intel-rapl:0"])
    probe = m.probe()
    assert len({channel["name"] for channel in probe.channels}) == len(probe.channels)
    m.sleep(0.3).assert_energy(58)
