"""The meter of known power: its numbers to the microjoule, its shape, its faults, and how it ends."""

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


class Rig:
    """me_rig on a folder of its own."""

    def __init__(self, folder, *zones, options=()):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        words = [me_test.program("tests/me_rig"), *options, *(word for zone in zones for word in ("-z", zone)), folder]
        self.process = subprocess.Popen([str(word) for word in words])
        assert me_test.wait_until(lambda: (folder / ".control").exists())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(10) == 0
        assert me_test.mounts(str(self.folder)) == []

    def tell(self, line):
        fd = os.open(self.folder / ".control", os.O_WRONLY)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)

    def state(self, zone):
        line = next(line for line in (self.folder / ".control").read_text().splitlines() if line.split()[0] == zone)
        return dict(pair.split("=", 1) for pair in line.split()[1:])

    def read(self, zone, name="energy_uj"):
        return (self.folder / zone / name).read_text().strip()

    def between(self, zone):
        """One reading, and the moments before and after it."""
        before = time.monotonic_ns()
        value = int(self.read(zone))
        return before, value, time.monotonic_ns()


def true_uj(state, moment):
    """E(t) as zone.h has it, wrapped."""
    number = {key: int(value) for key, value in state.items() if value.isdigit()}
    ticks = (moment - number["epoch_ns"]) // number["tick_ns"]
    at = number["epoch_ns"] + ticks * number["tick_ns"]
    energy_fj = number["base_uj"] * 10**9 + number["base_rest_fj"] + number["power_uw"] * (at - number["since_ns"])
    return energy_fj // 10**9 % number["wrap_uj"]


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
                                   ["-z", "a", "-z", "a", "x"], ["-b", "-d", "x"], ["--what"]])
def test_misuse(words):
    answer = me_test.run([me_test.program("tests/me_rig"), *words])
    assert answer.rc == 2 and "me_rig: " in answer.err


def test_zones_from_a_file(tmp_path):
    config = tmp_path / "zones"
    config.write_text("# two zones\nintel-rapl:0,name=package-0,power=50\n\n  intel-rapl:1,name=psys # the lot\n")
    with Rig(tmp_path / "m", options=["-c", config]) as rig:
        assert rig.read("intel-rapl:1", "name").split() == ["psys"]


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
