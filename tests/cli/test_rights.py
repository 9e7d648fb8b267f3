"""scripts/rights/grant, for real: an ordinary user cannot read the counters, then can, then cannot again. In a mount
namespace with an /etc and a /sys/class of its own, so that this machine's users and rules stay as they are."""
import json
import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "lib"))
import me_test  # noqa: E402

GRANT = TOP / "scripts" / "rights" / "grant"

STAGE = """
set -eu
mount -t tmpfs tmpfs /mnt
cp -a /etc /mnt/etc && mount --bind /mnt/etc /etc
mkdir -m 755 /mnt/bin && cp "$ME" /mnt/bin/me
mount -t tmpfs tmpfs /sys/class && mkdir /sys/class/powercap
"$RIG" -b -z intel-rapl:0,name=package-0,power=50 /sys/class/powercap
trap 'umount /sys/class/powercap' EXIT
groupadd metering && useradd -M -g metering metering
probe() { setpriv --reuid metering --regid metering --init-groups /mnt/bin/me probe --sources powercap --json; }
say() { printf '%s\\n' "$1"; }
say '['; probe
say ','; ME_PROGRAMS=/mnt/bin/me "$GRANT" metering >&2; probe
test -e /etc/udev/rules.d/70-machine-energy.rules
getcap /mnt/bin/me | grep -q 'cap_perfmon,cap_sys_nice=ep\\|cap_sys_nice,cap_perfmon=ep'
say ','; ME_PROGRAMS=/mnt/bin/me "$GRANT" metering >&2; probe
say ','; ME_PROGRAMS=/mnt/bin/me "$GRANT" --undo metering >&2; probe
test ! -e /etc/udev/rules.d/70-machine-energy.rules
test -z "$(getcap /mnt/bin/me)"
say ']'
"""


def test_granted_and_taken_back():
    env = {**os.environ, "ME": me_test.program("me"), "RIG": me_test.program("tests/me_rig"), "GRANT": str(GRANT),
           "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "bash", "-c", STAGE],
                          env={key: str(value) for key, value in env.items()}, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    before, after, again, undone = (answer["sources"][0] for answer in json.loads(done.stdout))
    assert not before["found"] and "root only" in before["reason"] and "chgrp" in before["cure"]
    assert after["found"] and after["channels"][0]["counted"]
    assert again["found"]
    assert not undone["found"]


def test_dry_run_touches_nothing():
    done = subprocess.run([GRANT, "--dry-run", "root"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert "groupadd" in done.stdout and "usermod -aG power root" in done.stdout
    assert not pathlib.Path("/etc/udev/rules.d/70-machine-energy.rules").exists()


def test_misuse_is_one_line():
    for words in (["--what"], ["no-such-user-here"]):
        done = subprocess.run([GRANT, *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1


def test_help():
    done = subprocess.run([GRANT, "--help"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "--undo" in done.stdout and done.stderr == ""
