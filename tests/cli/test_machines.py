"""Recorded machines: `me probe --json` over tests/machines/<name> says what expect.json says.

ME_UPDATE=1 writes expect.json anew; look at the difference before you keep it."""
import json
import os
import pathlib
import subprocess

import pytest

ME = pathlib.Path(os.environ["ME_BUILD"]) / "me"
MACHINES = pathlib.Path(__file__).resolve().parents[1] / "machines"
NAMES = sorted(path.name for path in MACHINES.iterdir() if path.is_dir())


def probe(root, *options):
    return subprocess.run([ME, "probe", "--root", root, *options], capture_output=True, text=True, timeout=30)


def test_there_are_machines():
    assert len(NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_machine(name):
    done = probe(MACHINES / name, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout)
    golden = MACHINES / name / "expect.json"
    if os.environ.get("ME_UPDATE"):
        golden.write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads(golden.read_text())


@pytest.mark.parametrize("name", NAMES)
def test_machine_is_explained_and_private(name):
    """Each says why it is here; none carries a boot id or a host name of its owner."""
    assert len((MACHINES / name / "why.txt").read_text()) > 80
    assert not list((MACHINES / name).glob("proc/sys/kernel/random/boot_id"))
    assert not list((MACHINES / name).glob("proc/sys/kernel/hostname"))


@pytest.mark.parametrize("name", NAMES)
def test_text_says_the_same(name):
    """The text names every channel, every reason, and that it is a replay."""
    text = probe(MACHINES / name).stdout
    found = json.loads(probe(MACHINES / name, "--json").stdout)
    for source in found["sources"]:
        assert source["name"] in text and source["reason"] in text and source["cure"] in text
        for channel in source["channels"]:
            line = next(line for line in text.splitlines() if line.strip().startswith(channel["name"] + " "))
            assert line.endswith("counted" if channel["counted"] else channel["why_not"])
    assert ("provenance: replay" in text) == (found["scopes"] != "")  # of a total, if there is one
    assert ("MODELLED" in text) == (found["class"] == "modelled")


def test_the_total_never_overlaps():
    """No machine adds a part to the whole that contains it."""
    for name in NAMES:
        found = json.loads(probe(MACHINES / name, "--json").stdout)
        counted = [c for source in found["sources"] for c in source["channels"] if c["counted"]]
        scopes = {c["scope"] for c in counted}
        assert counted or found["class"] == ""  # the deactivated BMC's: nothing at all
        assert not ("platform" in scopes and len(scopes) > 1)
        assert not ("core" in scopes and "package" in scopes)


def record(target, root="", path=None):
    env = {**os.environ, "ME_ROOT": str(root), **({"PATH": path} if path else {})}
    script = MACHINES.parents[1] / "scripts" / "record-machine"
    return subprocess.run([script, target], env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", NAMES)
def test_recorder_records_what_probe_reads(tmp_path, name):
    """A tree that scripts/record-machine makes of a recorded machine probes like the machine."""
    target = tmp_path / "recorded"
    done = record(target, MACHINES / name)
    assert done.returncode == 0, done.stderr
    assert json.loads(probe(target, "--json").stdout) == json.loads(probe(MACHINES / name, "--json").stdout)
    again = record(target, MACHINES / name)
    assert again.returncode == 2 and "is there already" in again.stderr


def test_recorder_help_and_misuse():
    """--help is no folder's name."""
    done = record("--help")
    assert done.returncode == 0 and done.stdout.startswith("Usage: record-machine") and not done.stderr
    for bad in ("--json", ""):
        done = record(bad)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--help" in done.stderr


PRIVATE = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: A processor\nSerial\t\t: secret-1\n",
    "proc/sys/kernel/hostname": "secret-2", "proc/sys/kernel/random/boot_id": "secret-3",
    "sys/class/net/eth0/address": "secret-4", "sys/class/dmi/id/product_serial": "secret-5",
    "sys/class/dmi/id/product_uuid": "secret-6", "sys/class/dmi/id/board_asset_tag": "secret-7",
    "sys/class/power_supply/BAT0/serial_number": "secret-8", "sys/class/power_supply/BAT0/manufacturer": "secret-9",
    "sys/class/power_supply/BAT0/uevent": "POWER_SUPPLY_SERIAL_NUMBER=secret-10",
    "sys/devices/acpi/hwmon/hwmon0/device/power1_serial_number": "secret-11",
    "sys/devices/pci/0000:03:00.0/unique_id": "secret-12", "sys/devices/pci/0000:03:00.0/serial_number": "secret-13",
}
PUBLIC = {
    "sys/class/power_supply/BAT0/type": "Battery", "sys/class/power_supply/BAT0/energy_now": "50000000",
    "sys/devices/acpi/hwmon/hwmon0/name": "power_meter",
    "sys/devices/acpi/hwmon/hwmon0/device/power1_average": "262000000",
    "sys/devices/acpi/hwmon/hwmon0/device/power1_oem_info": "Module Power Socket 0",
    "sys/devices/pci/0000:03:00.0/hwmon/hwmon1/name": "amdgpu", "sys/devices/pci/0000:03:00.0/vendor": "0x1002",
    "sys/devices/pci/0000:03:00.0/hwmon/hwmon1/power1_average": "31000000",
    "sys/cray/pm_counters/power": "873 W 1734094386309238 us", "proc/sys/kernel/perf_event_paranoid": "2",
    "sys/devices/power/type": "9", "sys/devices/power/events/energy-pkg": "event=0x02",
}
LINKS = {
    "sys/class/hwmon/hwmon0": "../../devices/acpi/hwmon/hwmon0",
    "sys/class/hwmon/hwmon1": "../../devices/pci/0000:03:00.0/hwmon/hwmon1",
    "sys/devices/pci/0000:03:00.0/hwmon/hwmon1/device": "../../../0000:03:00.0",
    "sys/class/drm/card0": "../../devices/pci/0000:03:00.0/drm/card0",
    "sys/devices/pci/0000:03:00.0/drm/card0/device": "../../../0000:03:00.0",
    "sys/bus/event_source/devices/power": "../../../devices/power",
}


def test_recorder_takes_power_and_nothing_private(tmp_path):
    root, target = tmp_path / "root", tmp_path / "recorded"
    for path, text in {**PRIVATE, **PUBLIC}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n")
    for path, to in LINKS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(to)
    done = record(target, root)
    assert done.returncode == 0, done.stderr
    files = {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert {path: files.get(path, "").strip() for path in PUBLIC} == PUBLIC
    assert {path: os.readlink(target / path) for path in LINKS} == LINKS
    assert not [path for path, text in files.items() if "secret" in text]
    assert set(files) - {"why.txt"} <= set(done.stdout.splitlines())  # it says all that it took
    assert (target / "sys/class/hwmon/hwmon1/device/vendor").read_text() == "0x1002\n"


def test_recorder_asks_ipmitool(tmp_path):
    tool = tmp_path / "bin" / "ipmitool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\ncase $1 in dcmi) echo '    Instantaneous power reading:      212 Watts';;\n"
                    "*) echo 'PSU1 Power | 110 Watts | ok'; echo 'Board serial secret | x | ok';; esac\n")
    tool.chmod(0o755)
    done = record(tmp_path / "recorded", path=f"{tool.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    said = {path.name: path.read_text() for path in (tmp_path / "recorded" / "commands").iterdir()}
    assert "212 Watts" in said["ipmitool dcmi power reading"] and "110 Watts" in said["ipmitool sdr list full"]
    assert "secret" not in "".join(said.values())


def test_bad_lines():
    for options in (["--root", "/nonexistent/dir"], ["--rot", "/"], ["extra"], ["--root"]):
        done = subprocess.run([ME, "probe", *options], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_root_of_the_environment(tmp_path):
    """ME_ROOT is what --root is without the option; one that is not there is said before anything is touched."""
    def run(program, *words, root):
        return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, cwd=tmp_path,
                              env={**os.environ, "ME_ROOT": str(root)})

    (tmp_path / "empty").mkdir()
    assert run(ME, "probe", root="").returncode == 0
    empty = json.loads(run(ME, "probe", "--json", root=tmp_path / "empty").stdout)
    assert empty["machine"]["boot_id"] == ""
    for program, words in ((ME, ["probe"]), (ME.with_name("me_bench"), ["exp1", "--", "true"])):
        done = run(program, *words, root="/nonexistent/dir")
        assert done.returncode == 2
        assert "ME_ROOT=/nonexistent/dir (unset it, or name a folder with --root): No such file" in done.stderr
    assert not (tmp_path / "exp1").exists()
    assert run(ME, "probe", "--root", "/", root="/nonexistent/dir").returncode == 0


def test_sources_are_those_asked_for():
    """A list names them; a meter of one's own and events are wanted because they are given."""
    cases = [(["--sources", "system"], ["system"]),
             (["--sources", "system", "--external", "W echo 5"], ["external", "system"]),
             (["--sources", "model", "--events", "none"], ["model"]),
             (["--sources", "model", "--events", "page-faults"], ["events", "model"])]
    for words, names in cases:
        found = json.loads(probe("/", "--json", *words).stdout)
        assert [source["name"] for source in found["sources"]] == names
