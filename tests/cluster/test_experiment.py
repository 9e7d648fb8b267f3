"""The main job on real input: several machines over real ssh and mpirun, each with a meter of known power."""

import secrets
import signal
from pathlib import Path

import me_test
import pytest
from cluster import Cluster, HostSpec, User, zone
from experiment import READING_S, TICK_S, check_energy, check_samples, launch, read, runs

# Made here and now, so that the search for it does not find this file.
PASSWORD = f"a 'b\" {secrets.token_hex(12)}"
SECONDS = "3.3"


def three(**keys):
    return [HostSpec("n1", [zone(power=50, **keys)], users=[User("root", PASSWORD, key=False)]),
            HostSpec("n2", [zone(power=80, **keys)]),
            HostSpec("n3", [zone(power=120, **keys)], port=2022, users=[User("lab.user", "unused"), User("root")])]


def machines(c):
    """One by password, one by key, one on another port with a dotted user name; grids that turn the order round."""
    return [c["n1"].machine(1, name="small", grid_gco2_per_kwh=700),
            c["n2"].machine(2, login="key", name="middle", grid_gco2_per_kwh=100),
            c["n3"].machine(3, login="key", user="lab.user", name="large", grid_gco2_per_kwh=300)]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The three commands of the README, run once; the tests below look at what came of them."""
    with Cluster(tmp_path_factory.mktemp("three"), three()) as c:
        config = c.write_config(machines(c), run_local=True)
        c.hosts_said = c.head.run(["me", "hosts", config], check=True, timeout=120)
        c.bench_said = launch(c, "--repeats 2", "--", "sleep", SECONDS)
        c.report_said = c.head.run(["me", "report", "exp1"], check=True)
        yield c


def test_each_machine_is_right_to_a_tick(done):
    result = read(done)
    for machine_id, power_w in ((1, 50), (2, 80), (3, 120)):
        rows = runs(result, machine_id)
        assert len(rows) == 2
        for row in rows.itertuples():
            check_energy(row, power_w, float(SECONDS))


def test_the_file_holds_what_the_meters_gave(done):
    result = read(done)
    for machine_id, name in ((1, "n1"), (2, "n2"), (3, "n3")):
        for repeat in (1, 2):
            check_samples(done, done[name], result, machine_id, repeat)


def test_the_local_machine_measured_too_and_is_marked(done):
    result = read(done)
    local = result.machines[result.machines.machine_id == 0].iloc[0]
    assert local.status == "ok"
    summary = result.summary.set_index("machine_id")
    assert summary["class"][0] == "modelled" and summary["class"][1] == "counter"
    assert summary["group"][0] != summary["group"][1], "never ranked beside a measured one"
    assert set(result.machines.provenance) == {"live", "fake"}, "the rig cannot pass as a measurement"


def test_the_orders_are_right(done):
    summary = read(done).summary.set_index("machine_id")
    assert list(summary["place"][[1, 2, 3]]) == [1, 2, 3]
    assert list(summary["carbon_place"][[1, 2, 3]]) == [2, 1, 3]
    for machine_id, grid in ((1, 700), (2, 100), (3, 300)):
        expected = summary["energy_mean_j"][machine_id] / 3.6e6 * grid
        assert abs(summary["carbon_mean_g"][machine_id] - expected) < 1e-9 + 1e-6 * expected


def test_the_report_says_so(done):
    said = done.report_said.out
    places = [said.index(name) for name in ("small", "middle", "large")]
    assert places == sorted(places)
    assert "modelled" in said and "fake" in said
    assert "By carbon the order is another: 1 middle, 2 small, 3 large." in said


def test_all_started_together(done):
    repeats = read(done).repeats
    starts = repeats[(repeats.phase == "run") & (repeats.repeat == 1)].start_unix_ns
    assert len(starts) == 4
    assert starts.max() - starts.min() < 500e6  # generous: four machines share two cores here


def test_no_secret_is_left_anywhere(done):
    """The password's bytes, and private keys other than the one made: in no file, argument list or environment."""
    config = Path(done.work, "config.json")
    places = [done.work] + done.head.writable() + [p for name in ("n1", "n2", "n3") for p in done[name].writable()]
    # The hosts' own password data lie in the ground's private files, as a machine's /etc/shadow does.
    found = [f for f in me_test.find_bytes(places, PASSWORD, but=[config]) if "/ground/" not in f]
    assert not found
    assert not me_test.find_in_processes(PASSWORD)
    for text in (done.hosts_said.out, done.hosts_said.err, done.bench_said.out, done.bench_said.err):
        assert PASSWORD not in text
    theirs = Path(done.key).read_text().splitlines()[2]  # a line of the user's own private key
    assert not me_test.find_bytes(places, theirs)
    made = Path(done.work, "gen.hosts.d", "id_ed25519")
    assert made.stat().st_mode & 0o777 == 0o600
    ours = made.read_text().splitlines()[2]
    assert not me_test.find_bytes(places, ours, but=[made])


def test_counters_that_wrap_several_times(tmp_path):
    # 100 J at 120 W: a wrap every 0.83 s; the sampler goes as fast as that asks for.
    with Cluster(tmp_path / "c", three(range=100000000)) as c:
        config = c.write_config(machines(c), run_local=False)
        c.head.run(["me", "hosts", config], check=True, timeout=120)
        launch(c, "--", "sleep", SECONDS)
        result = read(c)
        assert 0 not in set(result.machines.machine_id)
        for machine_id, name, power_w in ((1, "n1", 50), (2, "n2", 80), (3, "n3", 120)):
            check_energy(next(runs(result, machine_id).itertuples()), power_w, float(SECONDS))
            check_samples(c, c[name], result, machine_id, range_uj=100000000)
        values = result.series(3, 1)["package-0"].dropna()
        assert (values.diff() < 0).sum() >= 3


def test_a_reading_that_fails_in_the_middle_is_no_wrap(tmp_path):
    with Cluster(tmp_path / "c", three()) as c:
        config = c.write_config(machines(c)[1:])
        c.head.run(["me", "hosts", config], check=True, timeout=120)
        script = c.head.popen(["bash", "-c", ". gen.hosts.d/env && mpirun -hostfile gen.hosts me_bench exp1 -- sleep 3"])
        assert me_test.wait_until(lambda: "sleep 3" in c["n2"].processes().values(), 60)
        c["n2"].meter("intel-rapl:0 fault EIO 3")
        me_test.finish(script, "mpirun", 60, check=True)
        result = read(c)
        check_energy(next(runs(result, 2).itertuples()), 80, 3)
        assert result.series(2, 1)["package-0"].isna().sum() >= 1, "a failed reading is not a number"


def test_one_machine_by_three_names_counts_once(tmp_path):
    inner = HostSpec("box", port=2223)
    hosts = [HostSpec("n1", [zone(power=50)], more_ports=[2022], aliases=("other",), containers=[inner]),
             HostSpec("n2", [zone(power=80)])]
    with Cluster(tmp_path / "c", hosts) as c:
        again = dict(c["n1"].machine(2, login="key"), MACHINE_PORT=2022)
        config = c.write_config([c["n1"].machine(1, login="key"), again, c["n2"].machine(3, login="key"),
                                 c["box"].machine(4, login="key")])
        said = c.head.run(["me", "hosts", config], timeout=120)
        assert said.rc == 0 and "same machine" in said.out + said.err
        launch(c, "--", "sleep", "1")
        result = read(c)
        status = result.machines.set_index("machine_id").status
        assert status[1] == "ok" and status[3] == "ok"
        assert status[2] == "duplicate" and status[4] == "duplicate"
        assert set(result.repeats.machine_id) == {1, 3}


def test_ctrl_c_ends_everything_everywhere_and_keeps_what_was_measured(tmp_path):
    with Cluster(tmp_path / "c", three()) as c:
        config = c.write_config(machines(c))
        c.head.run(["me", "hosts", config], check=True, timeout=120)
        run = c.head.popen(["bash", "-c", ". gen.hosts.d/env && exec mpirun -hostfile gen.hosts me_bench exp1 --repeats 2 "
                            "-- sh -c '[ $ME_REPEAT = 1 ] && exec sleep 1; sleep 61 & exec sleep 62'"])
        names = ("n1", "n2", "n3")
        assert me_test.wait_until(lambda: all("sleep 62" in c[n].processes().values() for n in names), 60)
        c.head.signal(run, signal.SIGINT, group=True)
        out, err = run.communicate(timeout=60)
        assert run.returncode != 0
        result = read(c)
        assert result.attrs["status"] == "interrupted", err
        for machine_id, power_w in ((1, 50), (2, 80), (3, 120)):
            rows = runs(result, machine_id)
            check_energy(next(rows.itertuples()), power_w, 1)
            assert rows.note.iloc[1] == "interrupted"
            assert abs(rows.energy_j.iloc[1] - power_w * rows.duration_s.iloc[1]) <= power_w * (TICK_S + READING_S)

        def ours(host):
            return [line for line in host.processes().values()
                    if any(word in line for word in ("sleep 6", "me_bench", "orted", "mpirun"))]

        assert me_test.wait_until(lambda: not any(ours(host) for host in (c.head, *c.hosts.values())), 15), \
            [ours(host) for host in (c.head, *c.hosts.values())]


def test_me_run_is_all_in_one_and_clean_takes_it_away(tmp_path):
    with Cluster(tmp_path / "c", three()) as c:
        config = c.write_config(machines(c))
        before = c["n2"].authorized_keys()
        said = c.head.run(["me", "run", config, "exp1", "--", "sleep", "1"], timeout=120)
        assert said.rc == 0, said.err
        assert said.out.index("small") < said.out.rindex("large")
        for row in runs(read(c), 2).itertuples():
            check_energy(row, 80, 1)
        assert before in c["n2"].authorized_keys() and "restrict,expiry-time=" in c["n2"].authorized_keys()
        c.head.run(["me", "clean", config], check=True, timeout=60)
        assert c["n2"].authorized_keys() == before
        assert not Path(c.work, "gen.hosts").exists() and not Path(c.work, "gen.hosts.d").exists()
        for host, home in ((c["n1"], "/root"), (c["n2"], "/root"), (c["n3"], "/home/lab.user")):
            assert not list(host.path(home).glob(".cache/machine-energy/*"))
            assert not list(host.path(home).rglob("*.mej"))


def test_a_failed_workload_makes_exit_1(tmp_path):
    with Cluster(tmp_path / "c", three()) as c:
        config = c.write_config(machines(c))
        said = c.head.run(["me", "run", config, "exp1", "--", "sh", "-c", "[ $ME_MACHINE_ID != 2 ]"], timeout=120)
        assert said.rc == 1
        machines_ = read(c).machines.set_index("machine_id")
        assert machines_.status[2] == "failed" and "status 1" in machines_.reason[2]
        assert machines_.status[1] == machines_.status[3] == "ok"


def test_the_native_workload_trains_everywhere(tmp_path):
    with Cluster(tmp_path / "c", three()[:2]) as c:
        config = c.write_config([c["n1"].machine(1), c["n2"].machine(2)])
        said = c.head.run(["me", "run", config, "exp1"], timeout=300)
        assert said.rc == 0, said.err
        result = read(c)
        for machine_id, power_w in ((1, 50), (2, 80)):
            repeat = next(runs(result, machine_id).itertuples())
            assert repeat.work == 180000 and repeat.work_unit == "samples"
            regions = result.regions[result.regions.machine_id == machine_id].set_index("region", drop=False)
            region = regions.loc["train"]
            assert region.region == "train" and region.calls == 1
            assert abs(region.energy_j - power_w * region.duration_s) <= power_w * (TICK_S + READING_S)
            log = Path(c.work, "exp1", "logs", f"machine{machine_id}-repeat1.out").read_text()
            assert "test accuracy" in log


def test_a_skipped_machine_is_in_the_result(tmp_path):
    with Cluster(tmp_path / "c", three()) as c:
        config = c.write_config(machines(c))
        c["n2"].stop_sshd()
        refused = c.head.run(["me", "run", config, "exp1", "--", "sleep", "0.5"], timeout=60)
        assert refused.rc == 3 and not Path(c.work, "exp1").exists()
        said = c.head.run(["me", "run", config, "exp1", "--skip-failed", "--", "sleep", "0.5"], timeout=60)
        assert said.rc == 0, said.err
        table = read(c).machines.set_index("machine_id")
        assert table.status[2] == "skipped" and "refused" in table.reason[2]
        assert "middle" in said.out and "skipped" in said.out
        assert {1, 3} == set(runs_of_all(read(c)))


def runs_of_all(result):
    return result.repeats[result.repeats.phase == "run"].machine_id


def test_meters_of_their_own(tmp_path):
    """A counter, a user's command that holds, and one that breaks in the middle: each machine by its own."""
    specs = [HostSpec("n1", [zone(power=50)]), HostSpec("n2", []), HostSpec("n3", [])]
    with Cluster(tmp_path / "c", specs) as c:
        own = {2: "W,interval=0.2 sh -c 'env > /tmp/seen; echo 80'", 3: ["W,interval=0.2 test ! -e /tmp/gone && echo 120 W"]}
        entries = [c[f"n{i}"].machine(i, login="key", name=f"m{i}", **({"external": own[i]} if i in own else {}))
                   for i in (1, 2, 3)]
        config = c.write_config(entries, run_local=False)
        c.head.run(["me", "hosts", config], check=True, timeout=120)
        done = launch(c, "--", "sh", "-c", "'sleep 1.6; touch /tmp/gone; sleep 1.7'", check=False)
        assert done.rc == 1  # one machine's energy is not known
        result = read(c)
        check_energy(next(runs(result, 1).itertuples()), 50, float(SECONDS))
        held = next(runs(result, 2).itertuples())
        assert abs(held.energy_j - 80 * held.duration_s) < 1e-3  # a constant gauge, cut exactly at the edges
        broken = next(runs(result, 3).itertuples())
        assert broken.energy_j != broken.energy_j and broken.note
        channels = result.channels.set_index(["machine_id", "channel"])
        assert channels.loc[(2, "node"), "source"] == "external" and channels.loc[(2, "node"), "counted"] == 1
        assert "ME_MACHINE_ID=2" in c["n2"].sh("cat /tmp/seen", check=True).out
        groups = result.summary.set_index("machine_id").group
        assert groups[1] != groups[2]  # package and node are not ranked as if they covered the same


def test_a_bad_meter_is_refused_before_anything_is_touched(tmp_path):
    with Cluster(tmp_path / "c", [HostSpec("n1", [zone(power=50)])]) as c:
        config = c.write_config([c["n1"].machine(1, login="key", external="horsepower pdu 7")], run_local=False)
        said = c.head.run(["me", "hosts", config], timeout=60)
        assert said.rc == 2 and len(said.err.splitlines()) == 1
        assert "machine_id 1" in said.err and "external" in said.err
        assert not Path(c.work, "gen.hosts").exists()
