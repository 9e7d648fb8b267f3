"""GPUs by their vendors' libraries, as the stubs in tests/stubs play them: what is found, what counts and why not,
and joules against a power that is known."""
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

BUILD = pathlib.Path(os.environ["ME_BUILD"])
MACHINES = pathlib.Path(__file__).resolve().parents[1] / "machines"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "python"))
import machine_energy  # noqa: E402

GPU_SOURCES = ("nvml", "rocm", "levelzero")
TICK_S = 0.02  # of the stubs


def environment(libraries, **more):
    """No variable of this machine's own says which GPUs are visible."""
    env = {name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ}
    env["PATH"] = f"{BUILD}:{env['PATH']}"
    env["OMPI_ALLOW_RUN_AS_ROOT"] = env["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    env["LD_LIBRARY_PATH"] = ":".join(str(BUILD / "tests" / "stubs" / name) for name in libraries.split())
    return {**env, **more}


def probe(libraries, root="/", **more):
    done = subprocess.run(["me", "probe", "--json", "--root", root], env=environment(libraries, **more),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {source["name"]: source for source in json.loads(done.stdout)["sources"]}


def gpus_of(source):
    return {channel["name"].split("/")[-1]: channel for channel in source["channels"]}


def counted(source):
    return {name for name, channel in gpus_of(source).items() if channel["counted"]}


def run(tmp_path, libraries, sources, *command, **more):
    """The energies of an experiment's run phase: {channel: (joules, fault)}, and the result."""
    argv = ["mpirun", "--oversubscribe", "-n", "1", "me_bench", "exp", "--sources", sources, "--", *command]
    done = subprocess.run(argv, env=environment(libraries, **more), cwd=tmp_path, capture_output=True, text=True,
                          timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode in (0, 1), done.stderr
    result = machine_energy.read(tmp_path / "exp" / "exp.h5")
    rows = result.energies[result.energies.phase == "run"]
    return {row.channel: (row.energy_j, row.fault) for row in rows.itertuples()}, result


def duration_s(result):
    return result.repeats[result.repeats.phase == "run"].duration_s.iloc[0]


def test_absent_libraries_are_short_and_quick():
    begin = time.monotonic()
    found = probe("")
    took_s = time.monotonic() - begin
    for name in GPU_SOURCES:
        source = found[name]
        if source["found"]:
            pytest.skip("this machine has GPUs of its own")
        assert len(source["reason"]) < 120 and "no" in source["reason"]
    assert took_s < 5


def test_a_recorded_machine_never_loads_this_ones_libraries():
    """Its files speak of another machine; the stub would be found if it were asked."""
    found = probe("nvml amdsmi level_zero", root=str(MACHINES / "intel-2socket-dram"))
    for name in GPU_SOURCES:
        assert not found[name]["found"]
        assert "not asked" in found[name]["reason"]


def test_a_library_without_its_functions():
    source = probe("other")["nvml"]
    assert not source["found"] and "nvmlInit_v2" in source["reason"]


@pytest.mark.parametrize("code, reason, cure", [
    (18, "different versions", "reboot"),
    (9, "", ""),
    (4, "may not talk", "chmod"),
    (17, "closed", "gpus"),
    (999, "Unknown Error", ""),
])
def test_nvml_refuses(code, reason, cure):
    source = probe("nvml", ME_STUB_NVML=f"init={code}")["nvml"]
    assert not source["found"]
    assert reason in source["reason"] and source["reason"]
    assert cure in source["cure"]


def test_a_library_that_takes_its_time_is_waited_for():
    begin = time.monotonic()
    assert counted(probe("nvml", ME_STUB_NVML="delay=0.5")["nvml"]) == {"gpu-0"}
    assert time.monotonic() - begin >= 0.5


def test_nvml_has_no_gpu():
    source = probe("nvml", ME_STUB_NVML="gpus=0")["nvml"]
    assert not source["found"] and "no GPU" in source["reason"]


def test_what_a_stub_says_is_fake():
    """The kernel has no such driver or device, so it is no measurement."""
    found = probe("nvml", ME_STUB_NVML="gpus=2")["nvml"]
    assert {channel["provenance"] for channel in found["channels"]} == {"fake"}


def test_counter_power_and_a_counter_that_stands():
    """zeus #181, codecarbon #1316: without a counter that moves, power is integrated, and that is said."""
    gpus = gpus_of(probe("nvml", ME_STUB_NVML="gpus=4,energy=yes:no:still:zero")["nvml"])
    assert gpus["gpu-0"]["class"] == "counter" and gpus["gpu-0"]["unit"] == "uJ"
    assert gpus["gpu-1"]["class"] == "integrated" and "no energy counter" in gpus["gpu-1"]["basis"]
    for name in ("gpu-2", "gpu-3"):
        assert gpus[name]["class"] == "integrated" and gpus[name]["unit"] == "W"
        assert "stands still" in gpus[name]["basis"]
    assert all(channel["counted"] for channel in gpus.values())


def test_mig_is_said_and_slices_are_no_channels():
    """zeus #109: the counter is the whole GPU's."""
    gpus = gpus_of(probe("nvml", ME_STUB_NVML="gpus=2,mig=1:0")["nvml"])
    assert set(gpus) == {"gpu-0", "gpu-1"}
    assert "MIG" in gpus["gpu-0"]["basis"] and gpus["gpu-1"]["basis"] == ""


def test_a_gpu_beside_a_processor_is_not_taken_for_the_module():
    """zeus #172: on Grace Hopper the counter is the module's."""
    gpus = gpus_of(probe("nvml", ME_STUB_NVML="gpus=1,module=1")["nvml"])
    assert gpus["gpu-0"]["class"] == "integrated" and "module" in gpus["gpu-0"]["basis"]


ALL = {"gpu-0", "gpu-1", "gpu-2", "gpu-3"}


@pytest.mark.parametrize("visible, expected", [
    ("0,2", {"gpu-0", "gpu-2"}),
    ("2", {"gpu-2"}),
    ("", set()),
    ("-1", set()),
    ("NoDevFiles", set()),
    ("0,-1,1", {"gpu-0"}),
    ("1,7,2", {"gpu-1"}),
    ("GPU-b0abcdef-1111-2222-3333-444455556666", {"gpu-1"}),
    ("GPU-b", {"gpu-1"}),
    ("gpu-B0AB,GPU-d", {"gpu-1", "gpu-3"}),
    ("GPU-", set()),
    ("MIG-GPU-c0abcdef-1111-2222-3333-444455556666/1/0", {"gpu-2"}),
    ("MIG-3a-slice", {"gpu-3"}),
    ("MIG-unknown", ALL),
    ("0,1,2,3", ALL),
])
def test_cuda_visible_devices(visible, expected):
    source = probe("nvml", ME_STUB_NVML="gpus=4", CUDA_VISIBLE_DEVICES=visible)["nvml"]
    assert counted(source) == expected
    for name, channel in gpus_of(source).items():
        assert channel["counted"] or channel["why_not"] == \
            f"not visible to the workload (CUDA_VISIBLE_DEVICES={visible[:28]})", name
    if visible == "MIG-unknown":
        assert "cannot be told" in source["reason"]


def test_numbers_with_several_models():
    """CUDA counts the fastest first: number 0 may be any of them, unless CUDA_DEVICE_ORDER says otherwise."""
    scenario = {"ME_STUB_NVML": "gpus=2,model=T400:A100"}
    unsure = probe("nvml", CUDA_VISIBLE_DEVICES="0", **scenario)["nvml"]
    assert counted(unsure) == {"gpu-0", "gpu-1"}
    assert "cannot be told" in unsure["reason"] and "CUDA_DEVICE_ORDER" in unsure["cure"]
    assert all("may hide" in channel["basis"] for channel in unsure["channels"])
    sure = probe("nvml", CUDA_VISIBLE_DEVICES="0", CUDA_DEVICE_ORDER="PCI_BUS_ID", **scenario)["nvml"]
    assert counted(sure) == {"gpu-0"} and not sure["cure"]
    assert counted(probe("nvml", CUDA_VISIBLE_DEVICES="GPU-b", **scenario)["nvml"]) == {"gpu-1"}
    assert counted(probe("nvml", CUDA_VISIBLE_DEVICES="1,0", **scenario)["nvml"]) == {"gpu-0", "gpu-1"}


def test_gpus_that_a_cgroup_closes():
    """CUDA's numbers then count the open ones only; names stay the library's."""
    source = probe("nvml", ME_STUB_NVML="gpus=3,closed=1:0:0", CUDA_VISIBLE_DEVICES="1")["nvml"]
    assert set(gpus_of(source)) == {"gpu-1", "gpu-2"}
    assert counted(source) == {"gpu-2"}
    assert "1 more cannot be asked" in source["reason"]
    source = probe("nvml", ME_STUB_NVML="gpus=2,closed=1")["nvml"]
    assert not source["found"] and "closed" in source["reason"]


def test_nvml_joules(tmp_path):
    """300 W by counter, 150 W by power, and a hidden one that is read and not added."""
    energies, result = run(tmp_path, "nvml", "nvml", "sleep", "1.5", CUDA_VISIBLE_DEVICES="0,1",
                           ME_STUB_NVML="gpus=3,power=300:150:70,energy=yes:no:yes")
    seconds = duration_s(result)
    for name, power in (("gpu-0", 300), ("gpu-1", 150), ("gpu-2", 70)):
        joules, fault = energies[name]
        assert fault == "" and abs(joules - power * seconds) <= power * 2 * TICK_S, name
    total = result.repeats[result.repeats.phase == "run"].energy_j.iloc[0]
    assert total == pytest.approx(energies["gpu-0"][0] + energies["gpu-1"][0], abs=1e-3)
    machine = result.channels.set_index("channel")
    assert machine.interval_s["gpu-0"] == pytest.approx(0.1) and machine.provenance["gpu-0"] == "fake"
    assert "not visible" in machine.why_not["gpu-2"] and machine.device["gpu-1"] == "fade:c1:00.0"


def test_a_gpu_that_is_lost_in_the_middle(tmp_path):
    """Its channel failed from then on; the other one is known to the end."""
    energies, result = run(tmp_path, "nvml", "nvml", "sleep", "2",
                           ME_STUB_NVML="gpus=2,power=300:80,lost_after=0:1.2")
    joules, fault = energies["gpu-0"]
    assert fault == "" and abs(joules - 300 * duration_s(result)) <= 300 * 2 * TICK_S
    joules, fault = energies["gpu-1"]
    assert joules != joules and "reading" in fault, "a failed reading, and not a counter that fell to 0"
    note = result.repeats[result.repeats.phase == "run"].note.iloc[0]
    assert "gpu-1" in note


def test_two_dies_count_once():
    """The second die shows 0, or the same counter: the module is one meter."""
    source = probe("amdsmi", ME_STUB_AMDSMI="gpus=4,power=300:300:200,energy=yes:zero:yes:mirror")["rocm"]
    assert counted(source) == {"gpu-0", "gpu-2"}
    gpus = gpus_of(source)
    assert "second die" in gpus["gpu-1"]["why_not"] and "gpu-0" in gpus["gpu-1"]["why_not"]
    assert "repeats" in gpus["gpu-3"]["why_not"]


def test_the_first_die_may_come_second():
    source = probe("amdsmi", ME_STUB_AMDSMI="gpus=4,energy=zero:yes:zero:yes,power=300:300:200")["rocm"]
    assert counted(source) == {"gpu-1", "gpu-3"}
    assert "gpu-1" in gpus_of(source)["gpu-0"]["why_not"] and "gpu-3" in gpus_of(source)["gpu-2"]["why_not"]


@pytest.mark.parametrize("variables, expected", [
    ({"ROCR_VISIBLE_DEVICES": "1"}, {"gpu-0"}),  # the second die is the workload's, and the first meters it
    ({"ROCR_VISIBLE_DEVICES": "2,3"}, {"gpu-2"}),
    ({"ROCR_VISIBLE_DEVICES": "2,3", "HIP_VISIBLE_DEVICES": "0"}, {"gpu-2"}),
    ({"ROCR_VISIBLE_DEVICES": "2,0", "HIP_VISIBLE_DEVICES": "1"}, {"gpu-0"}),
    ({"HIP_VISIBLE_DEVICES": ""}, set()),
    ({"CUDA_VISIBLE_DEVICES": "3"}, {"gpu-2"}),
    ({"CUDA_VISIBLE_DEVICES": "3", "HIP_VISIBLE_DEVICES": "0"}, {"gpu-0"}),
])
def test_rocm_visible_devices(variables, expected):
    source = probe("amdsmi", ME_STUB_AMDSMI="gpus=4,energy=yes:zero:yes:zero,power=300:300:200", **variables)["rocm"]
    assert counted(source) == expected


def test_rocm_smi_is_tried_where_amdsmi_stands_still():
    """amdsmi #22: releases before 6.1 keep the first value of a process for ever."""
    alone = probe("amdsmi", ME_STUB_AMDSMI="gpus=2,energy=still:yes")["rocm"]
    assert counted(alone) == {"gpu-1"} and "stands still" in gpus_of(alone)["gpu-0"]["why_not"]
    both = probe("amdsmi rocm_smi", ME_STUB_AMDSMI="gpus=2,energy=still:yes",
                 ME_STUB_ROCM_SMI="gpus=2,energy=still:yes")["rocm"]
    assert counted(both) == {"gpu-0", "gpu-1"} and "librocm_smi64" in both["reason"]
    assert gpus_of(both)["gpu-0"]["class"] == "integrated"


def test_rocm_smi_alone():
    source = probe("rocm_smi", ME_STUB_ROCM_SMI="gpus=3,energy=yes:zero:no,model=MI250X:MI250X:MI50")["rocm"]
    assert counted(source) == {"gpu-0", "gpu-2"}
    assert gpus_of(source)["gpu-2"]["class"] == "integrated"
    assert "MI250X x 2, MI50" in source["reason"]


def test_a_rocm_library_that_does_not_start():
    source = probe("amdsmi", ME_STUB_AMDSMI="init=34")["rocm"]
    assert not source["found"] and "status 34" in source["reason"]


def test_rocm_joules(tmp_path):
    """The counter counts 2^-16 J, and not the 15.3 uJ that the library says: 0.27 % too much, 8 ms of 3 s."""
    energies, result = run(tmp_path, "amdsmi", "rocm", "sleep", "3",
                           ME_STUB_AMDSMI="gpus=2,power=500:120,energy=yes,tick=0.001")
    seconds = duration_s(result)
    for name, power in (("gpu-0", 500), ("gpu-1", 120)):
        joules, fault = energies[name]
        assert fault == "" and abs(joules - power * seconds) <= power * 0.005, name


def test_levelzero_reads_the_card():
    """Of card, package and tile only the card; an integrated GPU is its processor's."""
    source = probe("level_zero", ME_STUB_LEVEL_ZERO="gpus=2,integrated=0:1")["levelzero"]
    assert counted(source) == {"gpu-0"}
    assert "processor" in gpus_of(source)["gpu-1"]["why_not"]
    source = probe("level_zero", ME_STUB_LEVEL_ZERO="gpus=1,card=0,domains=tiles")["levelzero"]
    assert counted(source) == set() and "whole card" in gpus_of(source)["gpu-0"]["why_not"]


@pytest.mark.parametrize("scenario, share", [("", 1), ("card=0,", 1), ("card=0,domains=package,", 0.5)])
def test_levelzero_joules(tmp_path, scenario, share):
    energies, result = run(tmp_path, "level_zero", "levelzero", "sleep", "0.8",
                           ME_STUB_LEVEL_ZERO=f"{scenario}gpus=1,power=400")
    joules, fault = energies["gpu-0"]
    assert fault == "" and abs(joules - 400 * share * duration_s(result)) <= 400 * 2 * TICK_S


@pytest.mark.parametrize("mask, mode, tiles, expected", [
    ("1", None, 0, {"gpu-1"}),
    ("0.1", None, 0, {"gpu-0"}),
    ("", None, 0, {"gpu-0", "gpu-1"}),
    ("1", "COMPOSITE", 2, {"gpu-1"}),
    ("1", "FLAT", 2, {"gpu-0"}),
    ("3", "FLAT", 2, {"gpu-1"}),
    ("1", None, 2, {"gpu-0", "gpu-1"}),  # tiles or cards: cannot be told
])
def test_affinity_mask(mask, mode, tiles, expected):
    more = {"ZE_FLAT_DEVICE_HIERARCHY": mode} if mode else {}
    source = probe("level_zero", ME_STUB_LEVEL_ZERO=f"gpus=2,tiles={tiles}", ZE_AFFINITY_MASK=mask, **more)
    assert counted(source["levelzero"]) == expected


def test_three_vendors_in_one_machine():
    """Each GPU has a name of its own, and all count."""
    found = probe("nvml amdsmi level_zero", ME_STUB_NVML="gpus=1", ME_STUB_AMDSMI="gpus=1",
                  ME_STUB_LEVEL_ZERO="gpus=1,model=Max")
    names = [channel["name"] for name in GPU_SOURCES for channel in found[name]["channels"]]
    assert names == ["gpu-0", "rocm/gpu-0", "levelzero/gpu-0"]
