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
    assert "provenance: replay" in text
    assert ("MODELLED" in text) == (found["class"] == "modelled")


def test_the_total_never_overlaps():
    """No machine adds a part to the whole that contains it."""
    for name in NAMES:
        found = json.loads(probe(MACHINES / name, "--json").stdout)
        counted = [c for source in found["sources"] for c in source["channels"] if c["counted"]]
        scopes = {c["scope"] for c in counted}
        assert counted
        assert not ("platform" in scopes and len(scopes) > 1)
        assert not ("core" in scopes and "package" in scopes)


def test_recorder_records_what_probe_reads(tmp_path):
    """A tree that scripts/record-machine.sh makes of a recorded machine probes like the machine."""
    script = MACHINES.parents[1] / "scripts" / "record-machine.sh"
    source = MACHINES / "intel-2socket-dram"
    target = tmp_path / "recorded"
    env = {**os.environ, "ME_ROOT": str(source)}
    done = subprocess.run(["sh", script, target], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(probe(target, "--json").stdout) == json.loads(probe(source, "--json").stdout)
    assert not list(target.rglob("boot_id"))
    again = subprocess.run(["sh", script, target], env=env, capture_output=True, text=True, timeout=60)
    assert again.returncode == 2 and "is there already" in again.stderr


def test_bad_lines():
    for options in (["--root", "/nonexistent/dir"], ["--rot", "/"], ["extra"], ["--root"]):
        done = subprocess.run([ME, "probe", *options], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1
