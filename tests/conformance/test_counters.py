"""Counters: wraps, edges, failed and stale readings, units."""

import pytest

ZONE = "intel-rapl:0"
PACKAGE = f"{ZONE},name=package-0"
RANGE, UNIT = 262143328850, 61  # what Linux publishes for 2^32 - 1 units of 2^-14 J, and one unit, in microjoules


def steps(*values):
    """The counter stands still but for these values, a fifth of a second each: energies are exact."""
    return [step for value in values for step in (f"{ZONE} energy {value}", 0.2)]


def test_01_one_wrap(machine):
    """A wrap taken for a negative energy, or for none. hubblo-org/scaphandre #280, joular/powerjoular #45,
    ml-energy/zeus #91, tdurieux/EnergiBridge #17, mlco2/codecarbon #322, sustainable-computing-io/kepler #575,
    ls1mardyn/ls1-mardyn #381."""
    m = machine([f"{PACKAGE},power=50,range=30000000,max_power=60"])
    m.sleep(0.8).assert_energy(50)  # 0.6 s a wrap


def test_01_several_wraps_between_the_samples_asked_for(machine):
    """Wraps twice within one interval: one of them is lost. RRZE-HPC/likwid #646 #13. At 100 W and 2 J a wrap takes
    20 ms, at 10 Hz five hide in every interval; a busy machine may say that it cannot know, but no wrong number."""
    m = machine([f"{PACKAGE},power=100,range=2000000,max_power=50"])
    for _ in range(3):
        run = m.sleep(0.3, "--sample-hz", "10")
        if run.energy_j is not None:
            break
        assert "too far apart" in run.energies["package-0"]["fault"]
    run.assert_energy(100)


@pytest.mark.parametrize("before, after, uj", [
    (RANGE - 10, 30, 10 + UNIT + 30),     # 2^32 - 1 units are published, after 2^32 it starts again
    (RANGE, 0, UNIT),                     # a reading of exactly the range is a reading
    (RANGE - UNIT, RANGE, UNIT),          # and no wrap
])
def test_01_exactly_at_the_range(machine, before, after, uj):
    """The published range is one unit less than what a wrap adds: off by one at every wrap. LLNL/variorum."""
    m = machine([f"{PACKAGE},offset={before},wrap={RANGE + UNIT},max_power=400"])
    run = m.script(*steps(before, after))
    assert abs(run.energies["package-0"]["energy_j"] - uj * 1e-6) < 1e-9, run.energies


def test_01_the_range_is_that_of_the_register(recorded):
    """max_energy_range_uj is 2^32 - 1 units, the counter has 2^32 values. LLNL/variorum."""
    probe = recorded("intel-2socket-dram").probe()
    assert {channel["range"] for channel in probe.of("powercap") if channel["scope"] == "package"} == {RANGE + UNIT}


@pytest.mark.parametrize("fault", ["EIO", "EACCES", "ENODATA", "EINVAL", "garbage", "empty"])
def test_02_failed_reads_in_the_middle(machine, fault):
    """A read that failed is taken for 0, then for a wrap: 2^32 units of energy out of nothing.
    Helmholtz-AI-Energy/perun, mlco2/codecarbon, SchedMD/slurm (acct_gather_energy/rapl)."""
    m = machine([f"{PACKAGE},offset=5000000"])
    run = m.script(0.2, f"{ZONE} fault {fault}", 0.3, f"{ZONE} ok", f"{ZONE} energy 5000700", 0.2,
                   options=["--sample-hz", "50"])
    assert abs(run.energy_j - 0.0007) < 1e-9, run.energies


def test_02_failed_reads_at_the_end(machine):
    """A last reading that failed is no energy of 0 and no energy up to the last good one: it is not known.
    SchedMD/slurm (acct_gather_energy/rapl)."""
    run = machine([f"{PACKAGE},power=50"]).script(0.3, f"{ZONE} fault EIO")
    assert run.energy_j is None and run.energies["package-0"]["energy_j"] is None
    assert "failed" in run.energies["package-0"]["fault"] and run.summary["n"] == 0 and run.rc == 1


@pytest.mark.parametrize("hz", ["1", "10"])
def test_03_a_step_of_power(machine, hz):
    """A counter's energy re-integrated from watts: half a period times the step, 100 J for 300 to 100 W at 1 s.
    Helmholtz-AI-Energy/perun."""
    m = machine([f"{PACKAGE},power=300,max_power=400"])
    before = m.rig.state(ZONE)
    run = m.script(0.4, f"{ZONE} power 100", 0.3, options=["--sample-hz", hz])
    assert abs(run.energy_j - m.true_j(run, ZONE, before, m.rig.state(ZONE))) < 300 * 0.008


def test_04_the_first_reading_is_no_energy(machine):
    """The first reading adds the absolute counter. sustainable-computing-io/kepler."""
    m = machine([f"{PACKAGE},power=50,offset=200000000000"])
    m.sleep(0.3).assert_energy(50)


@pytest.mark.parametrize("hz", ["10", "200"])
def test_05_a_stale_value_read_again(machine, hz):
    """A value read twice before it changes makes 0 W and then a peak. lfwa/carbontracker. The counter moves ten times a
    second only: it may be off by one such step, as one sampled at its own rate is, and by no more."""
    m = machine([f"{PACKAGE},power=100,tick_ms=100"])
    m.sleep(0.65, "--sample-hz", hz).assert_energy(100, slack_s=0.106)


def test_05_a_stale_gauge_read_again(machine):
    """The same of a gauge that moves once a second: each reading is a power, none a peak. lfwa/carbontracker."""
    m = machine(files=["sys/class/hwmon/hwmon0/name,text=power_meter",
                       "sys/class/hwmon/hwmon0/power1_average,power=200,unit=uW,tick_ms=1000,mean=1"])
    m.sleep(1.3, "--sample-hz", "100").assert_energy(200)


def test_06_too_long_between_two_reads(machine):
    """Readings further apart than range / power hide wraps: the span is not known, and that is said, as turbostat does.
    RRZE-HPC/likwid #13, ls1mardyn/ls1-mardyn #381."""
    m = machine([f"{PACKAGE},power=50,range=5000000,max_power=50"])
    run = m.script(f"{ZONE} delay 300", 0.7, f"{ZONE} delay 0")
    assert run.energy_j is None and "too far apart" in run.energies["package-0"]["fault"]
    assert run.summary["n"] == 0 and run.summary["place"] == 0 and run.rc == 1
    assert "not known" in run.text() or "too far apart" in run.text()


def test_14_shorter_than_a_sampling_period(machine):
    """A run that ends before the first sample is seen as nothing, or as a sixtieth. mlco2/codecarbon #117."""
    m = machine([f"{PACKAGE},power=500,max_power=600"])
    m.sleep(0.05, "--sample-hz", "1").assert_energy(500, slack_s=0.01)


def test_14_shorter_than_a_tick(machine):
    """A run between two ticks of its counter is not one without energy: what is said of it is marked.
    mlco2/codecarbon #117. Some runs meet a tick; the first that meets none is looked at."""
    m = machine(["intel-rapl:0,name=package-0,power=500,tick_ms=800,offset=5000000,max_power=600"])
    runs = (m.sleep(0.1) for _ in range(8))
    run = next(run for run in runs if not run.energies["package-0"]["energy_j"])
    assert run.energies["package-0"]["fault"] != ""
    assert run.energy_j is None or run.repeat["note"] != ""


def test_17_units_agree_with_each_other(machine):
    """Watts as kilowatts, an energy column that holds watts. mlco2/codecarbon #286, troycomi/reportseff #66."""
    run = machine([f"{PACKAGE},power=50"]).sleep(0.4)
    run.assert_energy(50)
    assert abs(run.repeat["mean_power_w"] - run.energy_j / run.duration_s) < 1e-6
    grams = run.energy_j / 3.6e6 * run.machine["grid_gco2_per_kwh"] * run.machine["pue"]
    assert abs(run.repeat["carbon_g"] - grams) < 1e-9
    units = run.all["units"]["repeats"]
    told = [units[column] for column in ("energy_j", "mean_power_w", "carbon_g", "duration_s")]
    assert told == ["J", "W", "gCO2e", "s"]
    text = run.text()
    assert f"{run.energy_j:.1f} J" in text or f"{run.energy_j:.3g}" in text


def test_17_the_period_in_the_help_is_the_period(machine):
    """Help that tells milliseconds where microseconds are meant. tdurieux/EnergiBridge. A rate in Hz is a rate in Hz:
    0.5 s at 100 Hz are about 50 samples."""
    import h5py
    m = machine([f"{PACKAGE},power=50"])
    run = m.sleep(0.5, "--sample-hz", "100")
    with h5py.File(run.folder / f"{run.folder.name}.h5") as file:
        count = len(file["series/0/1/time_ns"])
    assert 20 <= count <= 70


@pytest.mark.parametrize("uj", [1, 61, 101, 16383])
def test_18_microjoules_at_a_high_count(machine, uj):
    """A counter through a 32-bit float has steps of 16 mJ at 200 kJ. Helmholtz-AI-Energy/perun."""
    run = machine([f"{PACKAGE},offset=200000000000"]).script(*steps(200000000000, 200000000000 + uj))
    assert abs(run.energies["package-0"]["energy_j"] - uj * 1e-6) < 1e-9
