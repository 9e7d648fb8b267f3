"""The meters of known power: their numbers to the last digit, their shape, their faults, and how they end."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import me_test  # noqa: E402
from me_rig import Rig, true_count, true_uj  # noqa: E402


@pytest.mark.parametrize("spec", ["power=50", "power=49.5,tick_ms=10", "power=80,range=1000000,offset=999990",
                                  "power=120,range=1000000,wrap=1000061", "power=3,tick_ms=0", "power=0,offset=7"])
def test_energy_follows_the_clock(tmp_path, spec):
    with Rig(tmp_path / "m", "z:0," + spec) as rig:
        for _ in range(50):
            before, value, after = rig.between("z:0")
            state = rig.state("z:0")
            low, high = true_uj(state, before), true_uj(state, after)
            assert low <= value <= high or (high < low and (value >= low or value <= high))
            assert value < int(state["wrap_uj"])
        assert rig.state("z:0")["reads"] == "50"


def test_power_changes_keep_the_sum(tmp_path):
    with Rig(tmp_path / "m", "z:0,power=10") as rig:
        expected, since, power = 0, int(rig.state("z:0")["since_ns"]), 10
        for watts in (500, 0, 33.25, 1):
            time.sleep(0.05)
            rig.tell(f"z:0 power {watts}")
            state = rig.state("z:0")
            expected += power * (int(state["since_ns"]) - since) // 1000
            since, power = int(state["since_ns"]), watts
            assert abs(int(state["base_uj"]) - expected) <= 4
            assert (since - int(state["epoch_ns"])) % 1000000 == 0


def test_shape_is_that_of_linux(tmp_path):
    zones = ["intel-rapl:0,name=package-0", "intel-rapl:0:0,name=core", "intel-rapl:10,name=package-10,max_power=none",
             "intel-rapl-mmio:0,mirror=intel-rapl:0", "flat"]
    with Rig(tmp_path / "m", *zones) as rig:
        top = sorted(os.listdir(rig.folder))
        assert top == ["flat", "intel-rapl", "intel-rapl-mmio", "intel-rapl-mmio:0", "intel-rapl:0", "intel-rapl:0:0",
                       "intel-rapl:10"]
        assert all((rig.folder / name).is_symlink() and (rig.folder / name).is_dir() for name in top)
        assert rig.read("intel-rapl:0/intel-rapl:0:0", "name") == "core"
        assert rig.read("intel-rapl", "enabled") == "1" and rig.read("flat", "name") == "flat"
        assert rig.read("intel-rapl:0", "constraint_0_max_power_uw") == "200000000"
        assert not (rig.folder / "intel-rapl:10" / "constraint_0_max_power_uw").exists()
        assert (rig.folder / "intel-rapl:0" / "energy_uj").stat().st_mode & 0o777 == 0o400


def test_a_hundred_zones(tmp_path):
    with Rig(tmp_path / "m", *(f"z:{i},power={i}" for i in range(100))) as rig:
        assert len(os.listdir(rig.folder)) == 101


def test_faults_at_an_open_file(tmp_path):
    with Rig(tmp_path / "m", "z:0,power=5", "z:0:0,power=1", "other,power=5") as rig:
        fd = os.open(rig.folder / "z:0:0" / "energy_uj", os.O_RDONLY)
        for name in ("EIO", "ENODATA", "EINVAL", "EACCES", "ETIMEDOUT"):
            rig.tell(f"z:0:0 fault {name} 2")
            for _ in range(2):
                with pytest.raises(OSError) as caught:
                    os.pread(fd, 64, 0)
                assert caught.value.errno == getattr(errno, name)
            assert int(os.pread(fd, 64, 0)) >= 0
        rig.tell("z:0:0 fault garbage 1")
        assert not os.pread(fd, 64, 0).strip().isdigit()
        rig.tell("z:0:0 fault empty 1")
        assert os.pread(fd, 64, 0) == b""
        rig.tell("z:0 vanish")  # and what lies in it
        with pytest.raises(OSError) as caught:
            os.pread(fd, 64, 0)
        assert caught.value.errno == errno.ENODEV
        assert os.listdir(rig.folder) == ["z", "other"] and int(rig.read("other")) >= 0
        rig.tell("* ok\n")
        assert int(os.pread(fd, 64, 0)) >= 0
        os.close(fd)


def test_slow_zone_holds_nobody_up(tmp_path):
    with Rig(tmp_path / "m", "slow,power=5,mode=0444", "quick,power=5") as rig:
        rig.tell("slow delay 1000")
        reader = subprocess.Popen(["cat", str(rig.folder / "slow" / "energy_uj")], stdout=subprocess.PIPE)
        time.sleep(0.1)
        rig.read("quick")
        assert reader.poll() is None
        assert int(reader.communicate()[0]) >= 5 * 900000


def test_a_read_on_continues_the_same_answer(tmp_path):
    with Rig(tmp_path / "m", "z:0,power=1000,offset=123456789,tick_ms=0") as rig:
        with open(rig.folder / "z:0" / "energy_uj", "rb", buffering=0) as file:
            before = time.monotonic_ns()
            head = file.read(5)
            after = time.monotonic_ns()
            time.sleep(0.1)
            value = int(head + file.read(64))
            state = rig.state("z:0")
            assert true_uj(state, before) <= value <= true_uj(state, after)
            assert file.read(64) == b""


@pytest.mark.parametrize("line", ["z:0", "z:0 power", "z:0 power -1", "z:0 power nan", "z:0 power 5 6", "z:0 fault E",
                                  "z:0 fault EIO x", "z:0 burn", "z:1 power 5", "z:0 mode 9", "z:0 freeze 3"])
def test_bad_commands_change_nothing(tmp_path, line):
    with Rig(tmp_path / "m", "z:0,power=5") as rig:
        before = rig.state("z:0")
        with pytest.raises(OSError):
            rig.tell(line)
        assert rig.state("z:0") == before


@pytest.mark.parametrize("words", [[], ["-z", "a,b=1", "x"], ["-z", "a/b", "x"], ["-z", "a,power=x", "x"],
                                   ["-z", "a,range=0", "x"], ["-z", "a,mirror=b", "x"], ["-c", "/nowhere", "x"],
                                   ["-z", "a", "-z", "a", "x"], ["-b", "-d", "x"], ["--what"],
                                   ["-f", "a/b", "x"], ["-f", "/a,text=x", "x"], ["-f", "a/../b,text=x", "x"],
                                   ["-f", "a,power=5", "x"], ["-f", "a,unit=uJ", "x"], ["-f", "a,text=x,unit=J", "x"],
                                   ["-f", "a,power=5,unit=kWh", "x"], ["-f", "a,power=5,unit=2^-31", "x"],
                                   ["-f", "a,power=5,unit=W,wrap=7", "x"], ["-f", "a,power=5,unit=J,mean=1", "x"],
                                   ["-f", "a,power=5,unit=J,format=%d", "x"], ["-f", r"a,text=\q", "x"],
                                   ["-f", "a,msr=1", "x"], ["-f", "a,msr=1,0x611=power:5", "x"],
                                   ["-f", "a,0x611=5", "x"], ["-f", "a,msr=1,0x1=2,text=x", "x"],
                                   ["-f", "a,text=x", "-f", "a,text=y", "x"],
                                   ["-f", "a,text=x", "-f", "a/b,text=y", "x"],
                                   ["-f", "a/b,text=y", "-f", "a,text=x", "x"], ["-f", "a,from=/nowhere", "x"],
                                   ["-p", "/sys", "x"]])
def test_misuse(words):
    answer = me_test.run([me_test.program("tests/me_rig"), *words])
    assert answer.rc == 2 and "me_rig: " in answer.err


def test_zones_from_a_file(tmp_path):
    config = tmp_path / "zones"
    config.write_text("# two zones\nintel-rapl:0,name=package-0,power=50\n\n  intel-rapl:1,name=psys # the lot\n")
    with Rig(tmp_path / "m", options=["-c", config]) as rig:
        assert rig.read("intel-rapl:1", "name").split() == ["psys"]


def test_files_lie_where_their_paths_say(tmp_path):
    config = tmp_path / "machine"
    config.write_text("intel-rapl:0,name=package-0,power=50\n"
                      "sys/class/hwmon/hwmon0/name,text=amd_energy\n"
                      "sys/class/hwmon/hwmon0/device,link=../../../devices/pci0\n"
                      f"proc/cpuinfo,from={tmp_path / 'cpuinfo'}\n")
    (tmp_path / "cpuinfo").write_text("model name : made\n" * 1000)
    with Rig(tmp_path / "m", options=["-p", "sys/class/powercap", "-c", config]) as rig:
        top = rig.folder
        assert sorted(os.listdir(top)) == ["proc", "sys"] and os.listdir(top / "sys") == ["class"]
        assert sorted(os.listdir(top / "sys/class")) == ["hwmon", "powercap"]
        assert sorted(os.listdir(top / "sys/class/powercap")) == ["intel-rapl", "intel-rapl:0"]
        assert rig.read("sys/class/powercap/intel-rapl:0", "name") == "package-0"
        assert (top / "sys/class/hwmon/hwmon0/name").read_text() == "amd_energy\n"
        assert os.readlink(top / "sys/class/hwmon/hwmon0/device") == "../../../devices/pci0"
        assert (top / "proc/cpuinfo").read_text() == (tmp_path / "cpuinfo").read_text()
        rig.tell("sys/class/hwmon/hwmon0 vanish")
        assert os.listdir(top / "sys/class/hwmon") == [] and not (top / "sys/class/hwmon/hwmon0/name").exists()
        rig.tell("sys/class/hwmon/hwmon0 appear")
        assert (top / "sys/class/hwmon/hwmon0/name").exists()


def read_between(path):
    before = time.monotonic_ns()
    value = int(path.read_text())
    return before, value, time.monotonic_ns()


@pytest.mark.parametrize("spec", ["power=50,unit=uJ", "power=49.5,unit=mJ,tick_ms=10",
                                  "power=873,unit=J,offset=1234567",
                                  "power=80,unit=2^-14,wrap=100000,offset=99990", "power=8,unit=15.3e-6,tick_ms=0",
                                  "power=3600,unit=uWh,offset=50000000,falls=1", "power=36,unit=uWh,offset=1,falls=1"])
def test_counters_of_any_unit_follow_the_clock(tmp_path, spec):
    with Rig(tmp_path / "m", files=["a/energy," + spec]) as rig:
        for _ in range(50):
            before, value, after = read_between(rig.folder / "a/energy")
            ends = [true_count(rig.state("a/energy"), moment) for moment in (before, after)]
            rises = ends[0] <= ends[1]
            if "falls" in spec:
                assert ends[1] <= value <= ends[0]
            else:
                assert ends[0] <= value <= ends[1] if rises else value >= ends[0] or value <= ends[1]


def test_a_gauge_moves_at_its_ticks(tmp_path):
    files = ["a/now,power=10,unit=uW,tick_ms=300", "a/mean,power=10,unit=uW,tick_ms=300,mean=1",
             "a/watts,power=10,unit=W"]
    with Rig(tmp_path / "m", files=files) as rig:
        def tick():
            return (time.monotonic_ns() - int(rig.state("a/now")["epoch_ns"])) // 300000000

        here = tick()
        assert me_test.wait_until(lambda: tick() > here, step=0.001)
        rig.tell("a/* power 100")
        shown = [int((rig.folder / name).read_text()) for name in ("a/now", "a/mean", "a/watts")]
        if tick() == here + 1:
            assert shown == [10000000, 10000000, 100]
        assert me_test.wait_until(lambda: tick() > here + 1, step=0.001)
        mean = int((rig.folder / "a/mean").read_text())
        if tick() == here + 2:
            assert int((rig.folder / "a/now").read_text()) == 100000000 and 10000000 < mean < 100000000


def test_a_format_has_value_stamp_and_freshness(tmp_path):
    files = ["c/power,power=873.25,unit=W,tick_ms=100,format=%v W %t us",
             "c/fresh,power=0,unit=J,tick_ms=100,format=%n",
             r"c/fine,power=50.125,unit=W,format=%.2v\, %%\n%v"]
    with Rig(tmp_path / "m", files=files) as rig:
        value, watts, stamp, us = (rig.folder / "c/power").read_text().split()
        assert (value, watts, us) == ("873", "W", "us") and abs(time.time() - int(stamp) / 1e6) < 1
        first = int((rig.folder / "c/fresh").read_text())
        time.sleep(0.25)
        assert first + 2 <= int((rig.folder / "c/fresh").read_text()) < first + 100
        assert (rig.folder / "c/fine").read_text() == "50.12, %\n50\n"
        rig.tell("c/power freeze")
        first = (rig.folder / "c/power").read_text()
        time.sleep(0.15)
        assert (rig.folder / "c/power").read_text() == first


def test_registers_answer_as_the_kernel_does(tmp_path):
    spec = "dev/cpu/0/msr,msr=1,0x606=0xa0e03,0x611=power:50,0x619=power:8:15.3e-6,0x639=power:5:2^-14:4294967290"
    with Rig(tmp_path / "m", files=[spec]) as rig:
        fd = os.open(rig.folder / "dev/cpu/0/msr", os.O_RDONLY)

        def register(number):
            before = time.monotonic_ns()
            value = int.from_bytes(os.pread(fd, 8, number), "little")
            return before, value, time.monotonic_ns()

        assert register(0x606)[1] == 0xa0e03 and os.stat(fd).st_mode & 0o777 == 0o600
        time.sleep(0.1)
        for number in (0x611, 0x619, 0x639):
            before, value, after = register(number)
            state = rig.state(f"dev/cpu/0/msr:{number:#x}")
            assert true_count(state, before) <= value <= true_count(state, after) and value < 2**32
        assert register(0x639)[1] < 100000  # it has wrapped
        for number, size in ((0x641, 8), (0x611, 4), (0xc001029b, 8)):
            with pytest.raises(OSError) as caught:
                os.pread(fd, size, number)
            assert caught.value.errno == (errno.EIO if size == 8 else errno.EINVAL)
        rig.tell("dev/cpu/0/msr:0x611 fault EACCES 1")
        with pytest.raises(OSError):
            register(0x611)
        assert register(0x611)[1] > 0
        rig.tell("dev/cpu/0/msr vanish")
        assert not (rig.folder / "dev/cpu/0/msr").exists()
        with pytest.raises(OSError):
            register(0x606)
        os.close(fd)


def test_commands_to_files(tmp_path):
    files = ["b/status,text=Discharging", "b/power_now,power=9,unit=uW"]
    with Rig(tmp_path / "m", files=files) as rig:
        status = rig.folder / "b/status"
        rig.tell("b/status text Not charging\n")
        assert status.read_text() == "Not charging\n"
        for line in ("b/status power 5", "b/power_now text x", "b/none vanish", "b vanish now", "b/status text \\q"):
            with pytest.raises(OSError):
                rig.tell(line)
        rig.tell("b/* fault EIO")
        with pytest.raises(OSError):
            status.read_text()
        rig.tell("* ok")
        rig.tell("b/* mode 0400")
        assert status.read_text() == "Not charging\n" and status.stat().st_mode & 0o777 == 0o400


def test_dies_with_its_parent(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    rig = me_test.program("tests/me_rig")
    parent = subprocess.Popen([sys.executable, "-c", "import subprocess, sys, time; "
                               f"subprocess.Popen([{rig!r}, '-d', '-z', 'z', {str(folder)!r}]); time.sleep(100)"])
    assert me_test.wait_until(lambda: (folder / ".control").exists())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert me_test.wait_until(lambda: not me_test.mounts(str(folder)))
