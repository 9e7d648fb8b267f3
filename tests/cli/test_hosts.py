"""me hosts, me clean and me run against real sshds: logins, host keys, failures with their cures, and
what stands on the machines before and after. Needs root (tests/cluster)."""

import hashlib
import base64
import json
import os
import pty
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
import me_test  # noqa: E402
from cluster import ABSENT_IP, MPI_PROGRAMS, Cluster, HostSpec, User  # noqa: E402

MPI_4_0 = ("#!/bin/sh\necho 'mpirun (Open MPI) 4.0.3'\n", 0o755)
CHATTY = 'echo "Welcome to node"; printf "no newline here> "; echo noise >&2\n'


def users(**more):
    return [User("root", "root-Secret-71c", **more), User("lab.user", "o'Neil \"x\" $1\\z")]


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    hosts = [
        HostSpec("n1", users=users(), containers=[HostSpec("c1", users=users())], more_ports=[2200]),
        HostSpec("kb", users=users(), auth=("publickey", "keyboard-interactive")),
        HostSpec("n3", users=users() + [User("guest", "guest-pw", shell="/usr/sbin/nologin"),
                                        User("dash", "dash-pw", shell="/bin/dash")],
                 port=22, host_key_types=("ecdsa", "ed25519"), aliases=("node3",)),
        HostSpec("keys", users=users(), auth=("publickey",)),
        HostSpec("bare", users=users(), hide=MPI_PROGRAMS),
        HostSpec("full", users=users(), private={"/home": "64k"}),
        HostSpec("cachefull", users=users()),
        HostSpec("keyfull", users=users()),
        HostSpec("oldmpi", users=users(), files={"/usr/bin/mpirun": MPI_4_0}),
        HostSpec("rsa", users=users(), host_key_types=("rsa",)),
    ]
    head = HostSpec("head", sshd=False, users=[User("root"), User("bench")])
    with Cluster(tmp_path_factory.mktemp("ground") / "c", hosts, head, rig="/bin/true") as cluster:
        cluster["cachefull"].sh("mkdir /root/.cache && mount -t tmpfs -o size=64k none /root/.cache", check=True)
        cluster["keyfull"].sh("cd /root && mv .ssh kept && mkdir -m 700 .ssh && mount -t tmpfs -o size=4k,mode=0700 none "
                              ".ssh && cp kept/authorized_keys .ssh", check=True)
        yield cluster


@pytest.fixture
def ground_as_new(ground):
    """The head trusts what the hosts show now; no hostfile, no key of ours anywhere."""
    ground.head.trust(ground.hosts.values())
    ground.head.sh("rm -rf gen.hosts gen.hosts.d lab.hosts* exp* /root/.ssh/id_*")
    for host in ground.hosts.values():
        for file in host.path("/").glob("root/.ssh/authorized_keys"), host.path("/").glob("home/*/.ssh/authorized_keys"):
            for path in file:
                lines = path.read_bytes().splitlines(keepends=True)
                path.write_bytes(b"".join(line for line in lines if b" machine-energy-" not in line))
    return ground


def me(ground, *arguments, env=None, timeout=60, stdin=None):
    return ground.head.run(["me", *arguments], env=env, timeout=timeout, stdin=stdin)


def hosts(ground, machines, *arguments, env=None, timeout=60, top=None):
    config = ground.write_config(machines, **(top or {}))
    return me(ground, "hosts", config, "--framework", "sleep", *arguments, env=env, timeout=timeout)


def listing(ground):
    return set(os.listdir(ground.work)) - {"config.json", "known_hosts", "ssh_config"}


def fails(ground, machines, *patterns, arguments=(), env=None):
    """Exit 3, one line on stderr with all patterns, and nothing written."""
    result = hosts(ground, machines, *arguments, env=env)
    assert result.rc == 3, result
    lines = result.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("me: "), result.err
    for pattern in patterns:
        assert re.search(pattern, lines[0]), (pattern, lines[0])
    assert not listing(ground)
    return lines[0]


# -- logins ------------------------------------------------------------------------------------------


def test_three_logins_then_launch_then_clean(ground_as_new):
    ground = ground_as_new
    before = {name: (ground[name].authorized_keys("root"), ground[name].authorized_keys("lab.user"))
              for name in ("n1", "kb", "n3")}
    machines = [ground["n1"].machine(1, name="one"), ground["kb"].machine(2, user="lab.user"),
                ground["n3"].machine(3, login="key", name="three")]
    result = hosts(ground, machines)
    assert result.rc == 0, result
    rows = [re.split(r"  +", line) for line in result.out.splitlines() if re.match(r"\d", line)]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert all(row[4:6] == ["staged", "sleep ok"] and row[-1] == "ok" for row in rows), result.out
    assert Path(ground.work, "gen.hosts").read_text().splitlines()[1:] == [
        "localhost slots=1  # the head: coordinates, does not measure",
        "me-0001 slots=1", "me-0002 slots=1", "me-0003 slots=1"]
    folder = Path(ground.work, "gen.hosts.d")
    assert (folder.stat().st_mode & 0o777, (folder / "id_ed25519").stat().st_mode & 0o777) == (0o700, 0o600)
    launched = ground.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts sh -c "
                              "'echo $ME_MACHINE_ID $(whoami) $(hostname) $(command -v me_bench)'", check=True)
    seen = {line.split()[0]: line.split()[1:] for line in launched.out.splitlines() if line[0].isdigit()}
    assert seen["1"][:2] == ["root", "n1"] and seen["2"][:2] == ["lab.user", "kb"] and seen["3"][:2] == ["root", "n3"]
    assert all("/.cache/machine-energy/0.1.0-" in words[2] for words in seen.values())
    line = ground["kb"].authorized_keys("lab.user").splitlines()[0]
    assert re.fullmatch(r'restrict,expiry-time="\d{12}" ssh-ed25519 \S+ machine-energy-[0-9a-f]{12}', line)

    assert hosts(ground, machines).rc == 0  # again: the same key, once
    assert ground["kb"].authorized_keys("lab.user").count("machine-energy-") == 1
    assert ground["kb"].authorized_keys("lab.user").splitlines()[0].split()[2] == line.split()[2]
    for name in ("n1", "kb", "n3", "head"):
        host = ground.head if name == "head" else ground[name]
        for secret in ("root-Secret-71c", "o'Neil \"x\" $1\\z"):
            config = os.path.realpath(host.path(f"{ground.work}/config.json"))
            assert me_test.find_bytes(host.writable() + [ground.work], secret,
                                      but=[config, f"{ground.work}/config.json"]) == []

    cleaned = me(ground, "clean", f"{ground.work}/config.json")
    assert cleaned.rc == 0, cleaned
    assert not listing(ground)
    after = {name: (ground[name].authorized_keys("root"), ground[name].authorized_keys("lab.user"))
             for name in before}
    assert after == before
    for name in before:
        assert ground[name].sh("ls -d /root/.cache/machine-energy /home/*/.cache/machine-energy").out == ""


def test_wrong_password(ground_as_new):
    for name in ("n1", "kb"):
        machine = ground_as_new[name].machine(1, name="node")
        machine["MACHINE_PASSWORD"] = "Wrong-One-9"
        line = fails(ground_as_new, [machine], r"node \(root@10\.77\.0\.\d+:2222\): wrong password; correct MACHINE_PASSWORD")
        assert "Wrong-One-9" not in line


def test_password_from_the_environment(ground_as_new):
    machine = ground_as_new["kb"].machine(1, login="none", MACHINE_PASSWORD_ENV="LAB_PASSWORD")
    assert hosts(ground_as_new, [machine], env={"LAB_PASSWORD": "root-Secret-71c"}).rc == 0


def test_server_without_passwords(ground_as_new):
    fails(ground_as_new, [ground_as_new["keys"].machine(1)], "takes no passwords .it offers publickey.", "MACHINE_KEY_FILENAME")


def test_nothing_to_log_in_with(ground_as_new):
    fails(ground_as_new, [ground_as_new["keys"].machine(1, login="none")], "nothing to log in with")


KINDS = [("ed25519", []), ("ecdsa", []), ("rsa", []), ("rsa", ["-m", "PEM"]), ("ecdsa", ["-m", "PEM"]),
         ("ecdsa", ["-b", "521"])]


def make_key(ground, name, kind, more=(), passphrase=""):
    """A key pair in the head's work folder whose public half root on `keys` accepts."""
    path = f"{ground.work}/{name}"
    me_test.run(["rm", "-f", path, path + ".pub"])
    me_test.run(["ssh-keygen", "-q", "-t", kind, *more, "-N", passphrase, "-f", path], check=True)
    ground["keys"].authorize("root", Path(path + ".pub").read_text())
    return path


@pytest.mark.parametrize("kind,more", KINDS)
@pytest.mark.parametrize("with_public", [True, False])
def test_key_files(ground_as_new, kind, more, with_public):
    ground = ground_as_new
    path = make_key(ground, "exp-key", kind, more)
    if not with_public:
        os.unlink(path + ".pub")
    result = hosts(ground, [ground["keys"].machine(1, login="none", MACHINE_KEY_FILENAME=path)], "--check")
    assert result.rc == 0, result
    assert ground.head.sh("ls -d /tmp/me-agent* /run/me-agent*").out == ""  # ours is gone, with its key
    assert not [line for line in ground.head.processes().values() if "ssh-agent" in line]


@pytest.mark.parametrize("kind,more", KINDS)
def test_passphrase_from_a_person_or_the_agent(ground_as_new, kind, more):
    ground = ground_as_new
    path = make_key(ground, "exp-key", kind, more, "open Sesame")
    machines = [ground["keys"].machine(1, login="none", MACHINE_KEY_FILENAME=path)]
    result = hosts(ground, machines, "--check")
    assert result.rc == 3 and f"needs its passphrase; run: ssh-add '{path}'" in result.err, result

    config = ground.write_config(machines)
    asked = ground.head.sh(
        "eval $(ssh-agent) >/dev/null; printf '#!/bin/sh\\necho open Sesame\\n' >/tmp/ask; chmod 700 /tmp/ask; "
        f"SSH_ASKPASS=/tmp/ask SSH_ASKPASS_REQUIRE=force ssh-add -q {path}; "
        f"me hosts {config} --check --framework sleep; code=$?; ssh-agent -k >/dev/null; exit $code")
    assert asked.rc == 0, asked

    for answer, code, said in (("open Sesame", 0, ""), ("open sesame", 3, "wrong passphrase")):
        master, slave = pty.openpty()
        child = ground.head.popen(["setsid", "-c", "me", "hosts", config, "--check", "--framework", "sleep"],
                                  stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        text = read_until(master, b"Passphrase of ")
        os.write(master, answer.encode() + b"\n")
        text += read_until(master, None)
        assert child.wait(30) == code, text
        assert said.encode() in text and answer.encode() not in text
        os.close(master)


def read_until(fd, mark):
    text = b""
    while mark is None or mark not in text:
        try:
            piece = os.read(fd, 4096)
        except OSError:  # the other side has closed
            break
        if not piece:
            break
        text += piece
    return text


def test_agent_alone_with_an_rsa_key(ground_as_new):
    ground = ground_as_new
    path = make_key(ground, "exp-key", "rsa")
    other = make_key(ground, "exp-other", "ed25519")
    ground["keys"].sh("sed -i '$d' /root/.ssh/authorized_keys", check=True)  # the other is refused
    config = ground.write_config([ground["keys"].machine(1, login="none")])
    result = ground.head.sh(f"eval $(ssh-agent) >/dev/null; ssh-add -q {other} {path}; "
                            f"me hosts {config} --check --framework sleep; code=$?; ssh-agent -k >/dev/null; exit $code")
    assert result.rc == 0, result


def test_default_keys(ground_as_new):
    ground = ground_as_new
    path = make_key(ground, "exp-key", "rsa")
    ground.head.sh(f"cp {path} /root/.ssh/id_rsa; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519", check=True)
    assert hosts(ground, [ground["keys"].machine(1, login="none")], "--check").rc == 0


def test_key_refused_and_unusable_key_files(ground_as_new):
    ground = ground_as_new
    path = make_key(ground, "exp-key", "ed25519")
    ground["keys"].sh("sed -i '$d' /root/.ssh/authorized_keys", check=True)
    machine = ground["keys"].machine(1, login="none", MACHINE_KEY_FILENAME=path)

    def check(pattern, **more):
        result = hosts(ground, [{**machine, **more}], "--check")
        assert result.rc == 3 and re.search(pattern, result.err), result

    check(r"the key \S+ is refused; put \S+\.pub into ~/\.ssh/authorized_keys")
    check("this is a public key", MACHINE_KEY_FILENAME=path + ".pub")
    check("cannot read the private key: No such file", MACHINE_KEY_FILENAME=path + "-none")
    os.chmod(path, 0o644)
    check(r"can be read by others \(mode 0644\); run: chmod 600")
    Path(path).write_text("hello\n")
    os.chmod(path, 0o600)
    check("not a private key")
    Path(path).write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    check("a damaged private key")


# -- host keys -----------------------------------------------------------------------------------------


def fingerprint(host_key):
    digest = hashlib.sha256(base64.b64decode(host_key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def test_unknown_host_key(ground_as_new):
    ground = ground_as_new
    ground.head.sh("rm /root/.ssh/known_hosts", check=True)
    machine = ground["n1"].machine(1)
    shown = fingerprint(ground["n1"].host_key)
    fails(ground, [machine], "its host key is not known", re.escape(f"ssh-ed25519 {shown}"), "--accept-new",
          re.escape(f'"host_key": "{shown}"'))
    assert not ground.head.path("/root/.ssh/known_hosts").exists()
    for key in (shown, shown + "=", ground["n1"].host_key):
        assert hosts(ground, [{**machine, "host_key": key}], "--check").rc == 0
    fails(ground, [{**machine, "host_key": fingerprint(ground["kb"].host_key)}], "is not the config's host_key")
    fails(ground, [{**machine, "host_key": ground["kb"].host_key}], "is not the config's host_key")


def test_accept_new_records_and_a_changed_key_is_always_refused(ground_as_new):
    ground, known = ground_as_new, "/root/.ssh/known_hosts"
    ground.head.sh(f"printf '# mine' >{known}", check=True)
    machines = [ground["n1"].machine(1), ground["n3"].machine(2)]
    assert hosts(ground, machines, "--accept-new").rc == 0
    lines = ground.head.path(known).read_text().splitlines()
    assert lines[0] == "# mine" and sorted(lines[1:]) == sorted(
        [f"[{ground['n1'].ip}]:2222 {ground['n1'].host_key}", f"{ground['n3'].ip} {ground['n3'].host_keys[1]}"])
    assert me(ground, "clean", f"{ground.work}/config.json").rc == 0
    ground["n1"].change_host_key()
    for more in ({}, {"host_key": ground["n1"].host_key}):
        fails(ground, [{**machines[0], **more}], "the host key changed", re.escape(fingerprint(ground["n1"].host_key)),
              re.escape(f"ssh-keygen -R '[{ground['n1'].ip}]:2222'"), arguments=["--accept-new"])
    assert ground.head.path(known).read_text().splitlines() == lines


def test_known_by_another_type_only(ground_as_new):
    """Known by ECDSA: that type is asked for, though ed25519 is there; and a liar's new type is no new host."""
    ground, known = ground_as_new, ground_as_new.head.path("/root/.ssh/known_hosts")
    ecdsa = ground["n3"].host_keys[0]
    known.write_text(f"{ground['n3'].ip} {ecdsa}\n")
    assert hosts(ground, [ground["n3"].machine(1)], "--check").rc == 0
    known.write_text(f"[{ground['n1'].ip}]:2222 {ecdsa}\n")
    fails(ground, [ground["n1"].machine(1)], "the host key changed", arguments=["--accept-new"])


def test_hashed_names_patterns_and_revoked(ground_as_new):
    ground, known = ground_as_new, ground_as_new.head.path("/root/.ssh/known_hosts")
    key, address = ground["n1"].host_key, ground["n1"].ip
    ground.head.sh("ssh-keygen -q -H -f /root/.ssh/known_hosts; rm -f /root/.ssh/known_hosts.old", check=True)
    assert address not in known.read_text()
    machines = [ground["n1"].machine(1), ground["n3"].machine(2)]
    assert hosts(ground, machines, "--check").rc == 0
    for line, code in ((f"[10.77.0.*]:2222,!x {key}", 0), (f"*,![{address}]:2222 {key}", 3),
                       (f"@cert-authority * {key}", 3), (f"@revoked * {key}\n[{address}]:2222 {key}", 3),
                       (f"garbage\n\n  # x\n[{address}]:2222\t{key} comment", 0), (f"[{address}]:2222,x {key}\n", 0)):
        known.write_text(line)
        result = hosts(ground, machines[:1], "--check")
        assert result.rc == code, (line, result)


def test_host_with_an_old_host_key_only(ground_as_new):
    fails(ground_as_new, [ground_as_new["rsa"].machine(1)], "no common ssh methods", "ssh-keygen -A")


# -- machines that are not there -------------------------------------------------------------------------


def test_unreachable_machines(ground_as_new):
    ground = ground_as_new
    machine = ground["n1"].machine(1, name="node")
    fails(ground, [{**machine, "MACHINE_PORT": 2299}], "connection refused: no ssh server listens on port 2299")
    fails(ground, [{**machine, "MACHINE_IP_ADDRESS": "no-such-host.invalid"}], "the name no-such-host.invalid is not resolved")
    fails(ground, [{**machine, "MACHINE_IP_ADDRESS": ABSENT_IP}], "the machine is off|timed out", arguments=["--connect-timeout", "5"])
    assert hosts(ground, [{**ground["n3"].machine(1), "MACHINE_IP_ADDRESS": "node3"}], "--check", "--accept-new").rc == 3
    assert hosts(ground, [{**ground["n3"].machine(1), "MACHINE_IP_ADDRESS": "node3",
                           "host_key": ground["n3"].host_keys[1]}], "--check").rc == 0


def test_a_silent_machine_costs_the_others_nothing(ground_as_new):
    ground = ground_as_new
    machines = [ground[name].machine(number + 1, name=name) for number, name in enumerate(("n1", "kb", "n3"))]
    ground["kb"].blackhole()
    ground["n1"].pause_sshd()
    try:
        begin = time.monotonic()
        result = hosts(ground, machines, "--connect-timeout", "2")
        assert time.monotonic() - begin < 3.5  # both at once, with one deadline each
        assert result.rc == 3 and "2 of 3 machines failed" in result.err, result
        assert re.search(r"kb .*FAILED: kb .*the connection timed out", result.out)
        assert re.search(r"n1 .*FAILED: n1 .*the ssh handshake timed out", result.out)
        assert re.search(r"^3 .*ok", result.out, re.M) and not listing(ground)
        result = hosts(ground, machines, "--connect-timeout", "2", "--skip-failed")
        assert result.rc == 0, result
    finally:
        ground["kb"].blackhole(False)
        ground["n1"].resume_sshd()
    plan = json.loads(Path(ground.work, "gen.hosts.d/machines.json").read_text())
    assert [machine["status"] for machine in plan["machines"]] == ["ok", "skipped", "skipped", "ok"]
    assert "timed out" in plan["machines"][2]["reason"]
    assert [line.split()[0] for line in Path(ground.work, "gen.hosts").read_text().splitlines()[1:]] == ["localhost", "me-0003"]


# -- machines that cannot take part ------------------------------------------------------------------------


def test_what_machines_lack(ground_as_new):
    ground = ground_as_new
    fails(ground, [ground["bare"].machine(1)], "Open MPI is missing", "apt-get install openmpi-bin")
    fails(ground, [ground["oldmpi"].machine(1)], r"its Open MPI is 4\.0\.3, the head's 4\.")
    fails(ground, [ground["full"].machine(1, user="lab.user")], "disk full: 0 MiB free in /home/lab.user")
    fails(ground, [ground["n3"].machine(1, user="guest")], "no POSIX shell to work with there")
    config = ground.write_config([ground["n1"].machine(1)])
    result = me(ground, "hosts", config, "--", "no-such-solver", "x")
    assert result.rc == 3 and "no-such-solver is not in PATH; install it" in result.err, result
    assert not listing(ground)


def test_disk_that_fills_while_staging(ground_as_new):
    ground = ground_as_new
    fails(ground, [ground["cachefull"].machine(1)], "disk full there while writing /root/.cache/machine-energy/")
    assert ground["cachefull"].sh("find /root/.cache -type f").out == ""


def test_disk_that_is_full_at_authorized_keys(ground_as_new):
    ground = ground_as_new
    before = ground["keyfull"].sh("ls -A /root/.ssh; cat /root/.ssh/authorized_keys").out
    fails(ground, [ground["keyfull"].machine(1)], "authorized_keys there is not changed: disk full")
    assert ground["keyfull"].sh("ls -A /root/.ssh; cat /root/.ssh/authorized_keys").out == before


def test_a_failure_takes_keys_back_from_the_others(ground_as_new):
    ground = ground_as_new
    before = ground["n1"].authorized_keys()
    result = hosts(ground, [ground["n1"].machine(1), ground["keyfull"].machine(2)])
    assert result.rc == 3 and not listing(ground), result
    assert ground["n1"].authorized_keys() == before


def test_key_that_does_not_log_in(ground_as_new):
    """The file is written, but sshd does not heed it: told before mpirun fails over it."""
    ground = ground_as_new
    ground["n1"].sh("chmod 777 /root", check=True)
    try:
        fails(ground, [ground["n1"].machine(1)], "does not log in; see sshd_config there", "StrictModes")
    finally:
        ground["n1"].sh("chmod 700 /root", check=True)


def test_two_entries_for_one_machine(ground_as_new):
    ground = ground_as_new
    machines = [ground["n1"].machine(1, name="first"), ground["n1"].machine(2, name="port", MACHINE_PORT=2200),
                ground["c1"].machine(3, name="container"), ground["n3"].machine(4)]
    result = hosts(ground, machines)
    assert result.rc == 0, result
    assert len(re.findall(r"left out: the same machine as first \(machine_id 1\)", result.out)) == 2
    hostfile = Path(ground.work, "gen.hosts").read_text()
    assert "me-0001" in hostfile and "me-0002" not in hostfile and "me-0003" not in hostfile and "me-0004" in hostfile
    plan = json.loads(Path(ground.work, "gen.hosts.d/machines.json").read_text())
    assert [machine["status"] for machine in plan["machines"]] == ["ok", "ok", "duplicate", "duplicate", "ok"]


# -- what stands on the machines -----------------------------------------------------------------------------

BEFORE = {
    "absent": None,
    "empty": b"",
    "no final newline": b"# comment\nssh-ed25519 AAAAC3 me@home",
    "any bytes": b"# \xff\xfe\x00\r\n\n\n  ssh-rsa AAAAB3 x\r\n# machine-energy-0123456789ab is not ours\n",
    "another set's": b"restrict ssh-ed25519 AAAAC3 machine-energy-000000000000\n",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
def test_authorized_keys_byte_for_byte(ground_as_new, before):
    ground = ground_as_new
    folder = ground["n3"].path("/root/.ssh")
    file, kept = folder / "authorized_keys", folder / "kept"
    file.rename(kept)
    try:
        if before is not None:
            file.write_bytes(before)
        machine = [ground["n3"].machine(1)]
        for _ in range(2):
            assert hosts(ground, machine).rc == 0
            first, rest = file.read_bytes().split(b"\n", 1)
            assert re.fullmatch(rb'restrict,expiry-time="\d{12}" ssh-ed25519 \S+ machine-energy-[0-9a-f]{12}', first)
            assert rest == (before or b"") and file.stat().st_mode & 0o777 == 0o600
        assert me(ground, "clean", f"{ground.work}/config.json").rc == 0
        assert file.read_bytes() == (before or b"")
        assert sorted(os.listdir(folder)) == ["authorized_keys", "kept"]
    finally:
        kept.rename(file)


def test_linked_authorized_keys_stay_linked(ground_as_new):
    ground = ground_as_new
    ground["n3"].sh("cd /root/.ssh && mkdir elsewhere && mv authorized_keys elsewhere/keys && ln -s elsewhere/keys authorized_keys", check=True)
    try:
        assert hosts(ground, [ground["n3"].machine(1)]).rc == 0
        assert ground["n3"].sh("readlink /root/.ssh/authorized_keys").out == "elsewhere/keys\n"
        assert me(ground, "clean", f"{ground.work}/config.json").rc == 0
    finally:
        ground["n3"].sh("cd /root/.ssh && mv elsewhere/keys authorized_keys && rmdir elsewhere", check=True)


def test_home_without_ssh_folder_and_chatty_shell(ground_as_new):
    ground = ground_as_new
    home = ground["n3"].path("/home/dash")
    assert hosts(ground, [ground["kb"].machine(2)]).rc == 0  # staged: no SFTP passes through a chatty shell
    ground["n3"].sh("mv /home/dash/.ssh /home/dash/.kept", check=True)
    ground["kb"].path("/root/.bashrc").write_text(CHATTY)
    try:
        result = hosts(ground, [ground["n3"].machine(1, user="dash"), ground["kb"].machine(2)])
        assert result.rc == 0, result
        assert (home / ".ssh").stat().st_mode & 0o777 == 0o700 and (home / ".ssh").stat().st_uid != 0
        launched = ground.head.sh(". gen.hosts.d/env && mpirun -hostfile gen.hosts sh -c 'echo id=$ME_MACHINE_ID'", check=True)
        assert "id=1" in launched.out and "id=2" in launched.out
    finally:
        ground["n3"].sh("rm -rf /home/dash/.ssh; mv /home/dash/.kept /home/dash/.ssh", check=True)
        ground["kb"].path("/root/.bashrc").unlink()


def test_check_writes_nothing(ground_as_new):
    ground = ground_as_new
    names = ("n1", "n3")
    me(ground, "clean", f"{ground.work}/config.json")

    def state():
        look = "find /root /home -printf '%p %s %T@ %m\\n' | sort"
        return [ground[name].sh(look).out for name in names] + [ground.head.sh(look).out, sorted(os.listdir(ground.work))]

    config = ground.write_config([ground[name].machine(number + 1) for number, name in enumerate(names)])
    before = state()
    assert me(ground, "hosts", config, "--check", "--framework", "sleep").rc == 0
    assert state() == before
    ground.head.sh(": >/root/.ssh/known_hosts", check=True)
    before = state()
    assert me(ground, "hosts", config, "--check", "--accept-new", "--framework", "sleep").rc == 3
    assert state() == before


def test_files_of_others_are_left_alone(ground_as_new):
    ground = ground_as_new
    for make, name in (("echo n1 slots=4 >lab.hosts", "lab.hosts"), ("mkdir lab.hosts.d", "lab.hosts.d")):
        ground.head.sh(f"rm -rf lab.hosts*; {make}", check=True)
        result = hosts(ground, [ground["n1"].machine(1)], "-o", "lab.hosts")
        assert result.rc == 2 and f"{name} exists and is not of me hosts" in result.err, result
        assert listing(ground) == {name}
    ground.head.sh("rm -rf lab.hosts*; mkdir 'exp \"quoted\"'", check=True)
    result = hosts(ground, [ground["n1"].machine(1)], "-o", 'exp "quoted"/gen.hosts')
    assert result.rc == 2 and "has a double quote" in result.err, result


def test_a_folder_with_blanks_and_a_quote_in_its_name(ground_as_new):
    ground = ground_as_new
    config = ground.write_config([ground["n1"].machine(1), ground["n3"].machine(2, user="dash")])
    folder = Path(ground.work, "exp: it's  two $words")
    folder.mkdir()
    written = ground.head.run(["me", "hosts", config, "--framework", "sleep"], cwd=str(folder))
    assert written.rc == 0, written
    script = ". gen.hosts.d/env && mpirun -hostfile gen.hosts sh -c 'echo id=$ME_MACHINE_ID'"
    launched = ground.head.sh(script, cwd=str(folder))
    assert launched.rc == 0 and "id=1\n" in launched.out and "id=2\n" in launched.out, launched
    ran = ground.head.run(["me", "run", config, "exp1", "-o", "lab hosts", "--", "sleep", "0.2"], cwd=str(folder))
    assert ran.rc == 0 and (folder / "exp1/exp1.h5").exists(), ran
    for output in "gen.hosts", "lab hosts":
        cleaned = ground.head.run(["me", "clean", config, "-o", output], cwd=str(folder))
        assert cleaned.rc == 0, cleaned
    assert os.listdir(folder) == ["exp1"]


def test_clean_without_a_hostfile_and_with_a_dead_machine(ground_as_new):
    ground = ground_as_new
    machines = [ground["n1"].machine(1), ground["n3"].machine(2)]
    config = ground.write_config(machines)
    result = me(ground, "clean", config)
    assert result.rc == 2 and "which key to take away is not known" in result.err, result
    assert hosts(ground, machines).rc == 0
    ground["n1"].stop_sshd()
    try:
        result = me(ground, "clean", config)
        assert result.rc == 3 and "1 of 2 machines are not cleaned" in result.err, result
        assert {"gen.hosts", "gen.hosts.d"} <= listing(ground)
        assert "machine-energy" not in ground["n3"].authorized_keys()
    finally:
        ground["n1"].start_sshd()
    assert me(ground, "clean", config).rc == 0
    assert "machine-energy" not in ground["n1"].authorized_keys()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_nothing_written(ground_as_new, number):
    ground = ground_as_new
    ground["kb"].blackhole()
    config = ground.write_config([ground["n1"].machine(1), ground["kb"].machine(2)])
    try:
        log = ground["n1"].path("/run/sshd.log")
        size = log.stat().st_size
        child = ground.head.popen(["me", "hosts", config, "--framework", "sleep"])
        # it waits for kb when n1 has had its session
        assert me_test.wait_until(lambda: b"Accepted" in log.read_bytes()[size:])
        ground.head.signal(child, number)
        begin = time.monotonic()
        out, err = child.communicate(timeout=10)
        assert time.monotonic() - begin < 5
    finally:
        ground["kb"].blackhole(False)
    assert child.returncode == 1 and "interrupted; nothing was written" in err, (out, err)
    assert not listing(ground)


# -- me run --------------------------------------------------------------------------------------------------


def test_run_does_all_and_returns_the_worst(ground_as_new):
    ground = ground_as_new
    config = ground.write_config([ground["n1"].machine(1, name="first"), ground["n3"].machine(2, login="none",
                                  MACHINE_PASSWORD_ENV="LAB_PASSWORD")])
    env = {"LAB_PASSWORD": "root-Secret-71c"}
    good = me(ground, "run", config, "exp1", "--", "sh", "-c", "env; sleep 0.2", env=env)
    assert good.rc == 0 and "first" in good.out and Path(ground.work, "exp1/exp1.h5").exists(), good
    assert me_test.find_bytes([ground.work], "root-Secret-71c", but=[config]) == []
    again = me(ground, "run", config, "exp1", "--", "true", env=env)
    assert again.rc == 2 and "--append" in again.err, again
    bad = me(ground, "run", config, "exp2", "--", "sh", "-c", "exit 7", env=env)
    assert bad.rc == 1 and Path(ground.work, "exp2/exp2.h5").exists(), bad
    dead = me(ground, "run", config, "exp3", "--", "no-such-solver", env=env)
    assert dead.rc == 3 and not Path(ground.work, "exp3").exists(), dead


@pytest.mark.parametrize("to_group", [False, True])
def test_run_interrupted_keeps_what_was_measured(ground_as_new, to_group):
    """A signal to me alone, or Ctrl-C: to all of its process group."""
    ground = ground_as_new
    config = ground.write_config([ground["n1"].machine(1), ground["n3"].machine(2)])
    child = ground.head.popen(["me", "run", config, "exp1", "--", "sleep", "97.5"])
    running = [lambda host=ground[name]: "sleep 97.5" in host.processes().values() for name in ("n1", "n3")]
    assert all(me_test.wait_until(test, 20) for test in running)
    ground.head.signal(child, signal.SIGINT, group=to_group)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 1 and "interrupted" in out, (out, err)
    assert Path(ground.work, "exp1/exp1.h5").exists()
    for host in (ground.head, ground["n1"], ground["n3"]):
        assert me_test.wait_until(lambda host=host: not [line for line in host.processes().values() if re.search(
            "sleep 97|orted|mpirun|me_bench|ssh -F", line)]), host.processes()


def test_the_head_measures_too(ground_as_new):
    ground = ground_as_new
    result = hosts(ground, [ground["n1"].machine(1)], top={"run_local": True})
    rows = [re.split(r"  +", line) for line in result.out.splitlines() if re.match(r"\d", line)]
    assert result.rc == 0 and [row[:2] for row in rows] == [["0", "localhost"], ["1", ground["n1"].ip]], result
    assert rows[0][4:6] == ["present", "sleep ok"]
    config = ground.write_config([], run_local=True)
    result = me(ground, "hosts", config, "--", "no-such-solver")
    assert result.rc == 3 and "this machine: no-such-solver is not in PATH" in result.err, result


def test_as_an_ordinary_user(ground_as_new):
    ground = ground_as_new
    home = ground.head.path("/home/bench")
    config = home / "c.json"
    config.write_text(json.dumps({"machines": [ground["n1"].machine(1, user="lab.user")]}))
    config.chmod(0o600)
    os.chown(config, 2001, 2001)
    (home / ".ssh/known_hosts").write_text(ground["n1"].known_hosts())
    (home / "bin").mkdir()  # the build may lie where an ordinary user cannot look
    for program in ("me", "me_bench", "me_kernel"):
        shutil.copy(f"{ground.build}/{program}", home / "bin")
    result = ground.head.sh(
        "PATH=$HOME/bin:$PATH; me hosts c.json --framework sleep && . gen.hosts.d/env && unset OMPI_ALLOW_RUN_AS_ROOT && "
        "mpirun -hostfile gen.hosts sh -c 'echo id=$ME_MACHINE_ID' && ! grep ROOT gen.hosts.d/env && "
        "me clean c.json && ls", user="bench", cwd="/home/bench")
    assert result.rc == 0 and "id=1" in result.out and result.out.endswith("\nbin\nc.json\n"), result


@pytest.mark.parametrize("line,said", [
    (["hosts"], "too few operands; usage: me hosts CONFIG"),
    (["hosts", "a", "b"], "unexpected operand b"),
    (["hosts", "none.json"], "none.json: No such file"),
    (["hosts", "config.json", "--framwork", "x"], "did you mean --framework?"),
    (["hosts", "config.json", "--framework", "nativ"], "there is no nativ; did you mean native?"),
    (["hosts", "config.json", "--connect-timeout", "0"], "--connect-timeout: 0 is not a number"),
    (["hosts", "config.json", "--key-days", "0"], "--key-days: 0 is not a whole number from 1 to 365"),
    (["hosts", "config.json", "-o", "/none/x"], "-o: /none: No such file"),
    (["hosts", "config.json", "-o", "x/.."], "does not name a file"),
    (["host"], "unknown command host; did you mean hosts?"),
    ([], "no command; see me --help"),
    (["run", "config.json"], "too few operands"),
    (["run", "config.json", "exp1", "--append", "--force"], "--append: not together with --force"),
    (["run", "config.json", "exp1", "--progress", "loud"], "--progress: loud is not auto, lines or none"),
    (["run", "config.json", "exp1", "--sources", "powercp"], "there is no source powercp"),
    (["run", "config.json", ".."], "does not end in a name"),
    (["run", "config.json", "-o", "x", "--", "true"], "too few operands"),
    (["run", "config.json", "exp1", "--repeats", "x"], "--repeats: x is not a whole number"),
    (["run", "config.json", "exp1", "--"], "no command behind --"),
    (["clean"], "too few operands"),
    (["clean", "config.json", "--", "x"], "unexpected operand x"),
])
def test_misuse(ground_as_new, line, said):
    ground_as_new.write_config([ground_as_new["n1"].machine(1)])
    result = me(ground_as_new, *line)
    assert result.rc == 2 and said in result.err and result.err.count("\n") == 1 and not result.out, result
    assert not listing(ground_as_new)


VALUES = {"--sources": "powercap,model", "--progress": "lines", "--root": "/sysroot", "--events": "none", "--series": "local",
          "--external": "W true", "--with": "config.json"}


def test_run_hands_on_every_option_of_me_bench(ground_as_new):
    """The same rows in both --help texts, and each reaches me_bench's command line."""
    ground = ground_as_new
    rows = [set(re.findall(r"^ +(?:-\w, )?(--[\w-]+(?:=\w+)?.*\n(?: {20,}.*\n)*)",
                           ground.head.run([*program, "--help"], check=True).out, re.M))
            for program in (["me_bench"], ["me", "run"])]
    assert len(rows[0]) > 10 and rows[0] - rows[1] == set()
    given = []
    for row in rows[0]:
        name, value = re.match(r"(--[\w-]+)(=?)", row).groups()
        if name not in ("--help", "--version", "--force", "--resume", "--framework", "--train-func", "--args", "--python"):  # not with a command
            given.append(name + (f"={VALUES.get(name, '3')}" if value else ""))
    bin_ = Path(ground.work, "exp bin")
    bin_.mkdir()
    (bin_ / "mpirun").write_text("#!/bin/sh\ncase $1 in --version) exec /usr/bin/mpirun --version; esac\n"
                                 "for word do echo \"word=$word\"; done\n")
    (bin_ / "mpirun").chmod(0o755)
    config = ground.write_config([ground["n1"].machine(1)])
    path = f"{bin_}:{ground.head.environment('root')['PATH']}"
    result = me(ground, "run", config, "exp1", *given, "--", "true", "a  b", env={"PATH": path})
    words = re.findall(r"word=(.*)", result.out)
    assert words[:3] == ["-hostfile", "gen.hosts", "me_bench"] and words[-4:] == ["exp1", "--", "true", "a  b"], result
    assert sorted(words[3:-4]) == sorted(given), result

    (bin_ / "train.py").write_text("def train(*_):\n    pass\n")
    more = [f"--train-func={bin_}/train.py:train", "--args=[1, 2]", "--with=config.json", f"--with={bin_}/mpirun"]
    result = me(ground, "run", config, "exp1", *more, env={"PATH": path})
    words = re.findall(r"word=(.*)", result.out)
    assert words[:3] == ["-hostfile", "gen.hosts", "me_bench"] and words[-1:] == ["exp1"], result
    assert sorted(words[3:-1]) == sorted(more), result


def test_help_names_every_command(ground_as_new):
    text = me(ground_as_new, "--help")
    assert text.rc == 0 and not text.err
    for name in re.findall(r"^  (\w+) +[A-Z]", text.out, re.M):
        one = me(ground_as_new, name, "--help")
        assert one.rc == 0 and one.out.startswith(f"Usage: me {name} "), one
    assert re.fullmatch(r"me \(Machine Energy\) \d+\.\d+\.\d+\n", me(ground_as_new, "--version").out)
