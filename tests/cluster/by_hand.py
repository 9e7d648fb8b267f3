"""The command line of the test cluster: tests/cluster/cluster --help."""

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path

from cluster import Cluster, HostSpec, zone
from host import me_test


def command_up(arguments):
    powers = [float(power) for power in arguments.power.split(",")]
    more = {"range": arguments.range, "tick_ms": arguments.tick_ms}
    more = {key: value for key, value in more.items() if value is not None}
    specs = [HostSpec(f"n{number + 1}", [zone(power=powers[number % len(powers)], **more)])
             for number in range(arguments.hosts)]
    cluster = Cluster(arguments.dir, specs)
    if (cluster.folder / "ground.json").exists() and is_up(Cluster.attach(arguments.dir)):
        sys.exit(f"cluster: {arguments.dir}: a ground stands there; `cluster down {arguments.dir}` first")
    if arguments.foreground:
        return keep(cluster, sys.stdout)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        os.setsid()
        with os.fdopen(writer, "w") as out:
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1):
                os.dup2(null, fd)
            code = keep(cluster, out, null)
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as text:
        said = text.read()
    print(said, end="")
    return 0 if said.startswith("up") else 3


def keep(cluster, out, null=None):
    """Holds the ground up until a signal comes or it falls by itself."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        with cluster:
            machines = [host.machine(number + 1, name=host.name)
                        for number, host in enumerate(cluster.hosts.values())]
            cluster.write_config(machines)
            out.write(describe(cluster))
            out.flush()
            if null is not None:
                os.dup2(null, out.fileno())
                os.dup2(null, 2)
            cluster.process.wait()
    except SystemExit:
        return 0
    except Exception as error:
        out.write(f"cluster: {error}\n")
        return 3
    return 1


def describe(cluster):
    text = f"up in {cluster.folder}: work/config.json has these machines\n"
    for host in (cluster.head, *cluster.hosts.values()):
        users = " ".join(f"{user.name}:{user.password or '-'}" for user in host.users.values())
        text += f"{host.name:8} {host.ip}:{host.port} pid {host.pid} boot {host.boot_id[:8]} {users}\n"
    return text


def is_up(cluster):
    """Its first process still runs; a ground whose keeper was killed leaves its ground.json."""
    return cluster.id.encode() in me_test.read_proc(cluster.pid, "environ")


def command_down(arguments):
    path = Path(arguments.dir, "ground.json")
    if not path.exists():
        print(f"cluster: {arguments.dir}: no ground stands there")
        return 0
    cluster = Cluster.attach(arguments.dir)
    if is_up(cluster):
        with contextlib.suppress(ProcessLookupError):
            os.kill(cluster.keeper, signal.SIGTERM)
        if not me_test.wait_until(lambda: not os.path.exists(f"/proc/{cluster.pid}"), 15):
            os.kill(cluster.pid, signal.SIGKILL)
    path.unlink(missing_ok=True)
    return 0


def command_list(arguments):
    print(describe(Cluster.attach(arguments.dir)), end="")
    return 0


def command_run(arguments):
    cluster = Cluster.attach(arguments.dir)
    host = {cluster.head.name: cluster.head, **cluster.hosts}[arguments.host]
    words = host.enter(arguments.command or ["bash"])
    os.execvpe(words[0], words, {**host.environment(), "TERM": os.environ.get("TERM", "dumb")})


def command_meter(arguments):
    host = Cluster.attach(arguments.dir).host(arguments.host)
    if arguments.command:
        host.meter(" ".join(arguments.command))
    print(host.path("/sys/class/powercap/.control").read_text(), end="")
    return 0


def main(argv=None):
    parser = argparse.ArgumentParser(prog="cluster", description="Several hosts on this machine, for tests.")
    commands = parser.add_subparsers(dest="verb", required=True)
    up = commands.add_parser("up", help="raise a head and hosts n1, n2, ...; they stay until `down`")
    up.add_argument("--dir", required=True)
    up.add_argument("--hosts", type=int, default=3)
    up.add_argument("--power", default="50,80,120", help="watts, in turn [50,80,120]")
    up.add_argument("--range", type=int, help="max_energy_range_uj")
    up.add_argument("--tick-ms", type=float)
    up.add_argument("--foreground", action="store_true", help="stay, and fell them at Ctrl-C")
    up.set_defaults(function=command_up)
    for name, function, text in (("down", command_down, "fell them"), ("list", command_list, "say what is up")):
        command = commands.add_parser(name, help=text)
        command.add_argument("dir")
        command.set_defaults(function=function)
    for name, function, text in (("run", command_run, "a command in a host (a shell, if none)"),
                                 ("meter", command_meter, "tell a host's meter, e.g. intel-rapl:0 power 80")):
        command = commands.add_parser(name, help=text)
        command.add_argument("dir")
        command.add_argument("host")
        command.add_argument("command", nargs=argparse.REMAINDER)
        command.set_defaults(function=function)
    arguments = parser.parse_args(argv)
    return arguments.function(arguments)
