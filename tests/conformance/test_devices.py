"""GPUs: the meters they have, and the ones that only look like meters."""


def amdgpu(number, power):
    chip = f"sys/class/hwmon/hwmon{number}"
    return [f"{chip}/name,text=amdgpu", f"{chip}/power1_label,text=PPT",
            f"{chip}/power1_average,power={power},unit=uW,tick_ms=20"]


def i915(power):
    return ["sys/class/hwmon/hwmon5/name,text=i915",
            f"sys/class/hwmon/hwmon5/energy1_input,power={power},unit=uJ,tick_ms=20"]


PACKAGE = "intel-rapl:0,name=package-0,power=50"


def test_16_a_gpu_without_an_energy_counter(machine):
    """No energy counter, and so no energy: its power is integrated, and that is said. mlco2/codecarbon #1316."""
    run = machine([PACKAGE], amdgpu(0, 120)).sleep(0.8)
    assert run.summary["scopes"] == "package+gpu" and run.summary["class"] == "integrated"
    run.assert_energy(170)


def test_16_a_counter_that_stalls(machine):
    """A counter that stands still while the GPU works is taken for 0 W. ml-energy/zeus #181, ROCm/rocm_smi_lib #180,
    AMDResearch/hpcfund #21."""
    m = machine([PACKAGE], i915(60))
    run = m.script(0.3, "sys/class/hwmon/hwmon5/energy1_input freeze", 1.6)
    gpu = next(row for name, row in run.energies.items() if name.startswith("gpu"))
    assert gpu["energy_j"] is None and "did not move" in gpu["fault"]
    assert run.energy_j is None


def test_16_a_gpu_that_is_lost(machine):
    """A GPU that falls off the bus in the middle: its channel is marked, the rest goes on.
    rossumai/nvgpu #6, SwanHubX/SwanLab #773."""
    m = machine([PACKAGE], amdgpu(0, 120))
    run = m.script(0.3, "sys/class/hwmon/hwmon0 vanish", 0.5)
    gpu = next(row for name, row in run.energies.items() if name.startswith("gpu"))
    assert gpu["energy_j"] is None and gpu["fault"]
    assert abs(run.energies["package-0"]["energy_j"] - 50 * run.duration_s) < 50 * 0.006


def test_16_the_odd_die_shows_nothing(machine):
    """A card of two dies: the first shows what both use, the second 0 W. A division by that 0, or an average of both.
    ml-energy/zeus PR#203, mlco2/codecarbon #1097."""
    run = machine([PACKAGE], [*amdgpu(0, 120), *amdgpu(1, 0)]).sleep(0.8)
    run.assert_energy(170)


def test_16_nvidia_without_an_energy_counter(gpus):
    """GPUs before Volta have no energy counter: their power is integrated, beside one that has.
    mlco2/codecarbon #1316."""
    m = gpus("nvml", "gpus=2,power=300:150,energy=yes:no")
    classes = {channel["name"]: channel["class"] for channel in m.probe("--sources", "nvml").counted}
    assert classes == {"gpu-0": "counter", "gpu-1": "integrated"}
    run = m.sleep(1, "--sources", "nvml")
    assert abs(run.energy_j - 450 * run.duration_s) < 450 * 0.05


def test_16_nvidia_counter_that_stands_still(gpus):
    """An energy counter that is there and does not count: 0 J of a GPU that draws 300 W. ml-energy/zeus #181."""
    run = gpus("nvml", "gpus=1,power=300,energy=still").sleep(1, "--sources", "nvml")
    assert run.summary["class"] == "integrated" and abs(run.energy_j - 300 * run.duration_s) < 300 * 0.05


def test_16_slices_of_one_gpu(gpus):
    """MIG: a slice's name is no number, and there the measuring ends; a slice has no meter of its own, and the GPU's is
    told as the slice's, or counted once for each. ml-energy/zeus #109."""
    m = gpus("nvml", "gpus=1,power=300,mig=1", CUDA_VISIBLE_DEVICES="MIG-0abcdef0,MIG-0abcdef1")
    probe = m.probe("--sources", "nvml")
    assert len(probe.counted) == 1 and "MIG" in probe.counted[0]["basis"]
    run = m.sleep(0.8, "--sources", "nvml")
    assert abs(run.energy_j - 300 * run.duration_s) < 300 * 0.05


def test_16_nvidia_falls_off_the_bus(gpus):
    """A GPU that is lost in the middle: no number, and the other one goes on. rossumai/nvgpu #6,
    LSSI-ETH/plmfit #40."""
    run = gpus("nvml", "gpus=2,power=300:150,lost_after=1.2:0").sleep(2, "--sources", "nvml")
    assert run.energies["gpu-0"]["energy_j"] is None and run.energies["gpu-0"]["fault"]
    assert abs(run.energies["gpu-1"]["energy_j"] - 150 * run.duration_s) < 150 * 0.1


def test_16_amd_cards_of_two_dies(gpus):
    """Two devices, one meter: the odd one shows 0, and must not be divided by. ml-energy/zeus PR#203,
    mlco2/codecarbon #1097."""
    m = gpus("amdsmi", "gpus=2,power=90:0,energy=yes:zero")
    assert [channel["name"] for channel in m.probe("--sources", "rocm").counted] == ["gpu-0"]
    run = m.sleep(1, "--sources", "rocm")
    assert abs(run.energy_j - 90 * run.duration_s) < 90 * 0.05


def test_16_amd_dies_that_show_the_same(gpus):
    """Two devices, one meter, shown by both: twice the card's energy. lablup/all-smi #418."""
    probe = gpus("amdsmi", "gpus=2,power=90,energy=yes:mirror").probe("--sources", "rocm")
    assert [channel["name"] for channel in probe.counted] == ["gpu-0"]
    assert "gpu-0" in probe.named("gpu-1")[0]["why_not"]


def test_more_a_gpu_that_shares_a_module(gpus):
    """On a superchip the energy counter is the module's, processor and memory with it; the GPU's own power is less.
    ml-energy/zeus PR#172."""
    run = gpus("nvml", "gpus=1,power=300,module=1").sleep(1, "--sources", "nvml")
    assert abs(run.energy_j - 300 * run.duration_s) < 300 * 0.05 and run.summary["class"] == "integrated"


def test_more_a_counter_that_drops_for_a_moment(machine):
    """22 MJ, 200 J, 22 MJ: a difference of unsigned numbers, and 3.69 TW. intel/compute-runtime #938."""
    m = machine([PACKAGE], i915(60))
    m.rig.tell("sys/class/hwmon/hwmon5/energy1_input energy 22000000000000")
    run = m.script(0.4, "sys/class/hwmon/hwmon5/energy1_input energy 200000000", 0.3,
                   "sys/class/hwmon/hwmon5/energy1_input energy 22000000040000", 0.4)
    gpu = next(row for name, row in run.energies.items() if name.startswith("gpu"))
    assert gpu["energy_j"] is None and gpu["fault"]


def test_more_a_stub_is_no_gpu(gpus):
    """What a library says without a driver behind it counts as measured. Fakes are told from meters here as plain files
    are from sysfs (open-mpi/hwloc does so for recorded machines)."""
    assert gpus("nvml", "gpus=1,power=300").sleep(0.6, "--sources", "nvml").summary["provenance"] == "fake"
