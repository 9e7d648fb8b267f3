"""Sensors other than RAPL: hwmon, Cray's counters, batteries, IPMI."""

import pytest

from me_rig import cpuinfo

HWMON = "sys/class/hwmon/hwmon0"
CRAY = "sys/cray/pm_counters"
BATTERY = "sys/class/power_supply/BAT0"


def cray(power, tick_ms=100):
    return [f"{CRAY}/power,power={power},unit=W,tick_ms={tick_ms},format=%v W %t us",
            f"{CRAY}/energy,power={power},unit=J,tick_ms={tick_ms},offset=123456789,format=%v J %t us",
            f"{CRAY}/cpu_energy,power={power / 4},unit=J,tick_ms={tick_ms},format=%v J %t us",
            f"{CRAY}/freshness,power=0,unit=J,tick_ms={tick_ms},format=%n",
            f"{CRAY}/raw_scan_hz,text={1000 // tick_ms}", f"{CRAY}/version,text=3"]


def battery(status, power=9.5):
    return [f"{BATTERY}/type,text=Battery", f"{BATTERY}/status,text={status}", f"{BATTERY}/present,text=1",
            f"{BATTERY}/power_now,power={power},unit=uW,tick_ms=100", "sys/class/power_supply/AC/type,text=Mains",
            "sys/class/power_supply/AC/online,text=0"]


@pytest.mark.parametrize("unit, text", [("W", "50"), ("kW", "0.050"), ("mW", "50000"), ("W", "50 W"), ("W", "5e1")])
def test_17_a_meter_of_ones_own(here, place, unit, text):
    """Kilowatts taken for watts. mlco2/codecarbon #286. A smart plug's file says its number, its user the unit."""
    (place / "plug").write_text(f"{text}\n")
    run = here.sleep(0.8, "--sources", "external", "--external", f"{unit},interval=0.1 < {place}/plug")
    assert run.summary["scopes"] == "node" and abs(run.energy_j - 50 * run.duration_s) < 1


def test_17_a_meter_that_says_another_unit(here, place):
    """The same, where the answer itself tells the difference: no number then. mlco2/codecarbon #286."""
    (place / "plug").write_text("50 W\n")
    words = ["--sources", "external", "--external", f"W,interval=0.1 < {place}/plug"]
    run = here.bench(*words, "--", "sh", "-c", f"sleep 0.3; echo 0.05 kW > {place}/plug; sleep 1.5")
    assert run.energy_j is None, run.energies


def test_more_an_error_code_is_no_power(recorded):
    """A BMC that answers 0xffffffff mW is a server of 4.29 MW. lm-sensors/lm-sensors #130 #460."""
    probe = recorded("acpi-power-meter-error").probe()
    assert not [channel for channel in probe.counted if channel["source"] == "hwmon"]
    assert "error code" in probe.of("hwmon")[0]["why_not"]


def test_more_an_error_code_in_the_middle(machine):
    """The same after a while of right answers. lm-sensors/lm-sensors #130."""
    m = machine(files=[f"{HWMON}/name,text=power_meter", f"{HWMON}/power1_average,power=200,unit=uW,tick_ms=50"])
    run = m.script(0.4, f"{HWMON}/power1_average power 4294967.295", 0.3, f"{HWMON}/power1_average power 200", 0.4)
    assert run.energy_j is None or abs(run.energy_j - 200 * run.duration_s) < 200 * 0.2, run.energies


def test_more_modules_contain_what_they_are_made_of(recorded):
    """Module, Grace, CPU and SysIO of a superchip, all added up: more than twice its power. Read in the recorded trees
    of /sys; the field's guide: NVIDIA Grace Performance Tuning Guide, power telemetry."""
    probe = recorded("gh200-4socket-acpi-power-meter").probe()
    assert {channel["scope"] for channel in probe.counted} == {"platform"} and len(probe.counted) == 4


def test_more_energy_without_a_range_to_wrap_at(machine):
    """A counter of 64 bits that is taken for one of 32, or the other way round: amd_energy accumulates by itself.
    hubblo-org/scaphandre #280."""
    m = machine(files=[f"{HWMON}/name,text=amd_energy", f"{HWMON}/energy1_label,text=Esocket0",
                       f"{HWMON}/energy1_input,power=65,unit=uJ,offset=65535999999000"])
    m.sleep(0.4).assert_energy(65)


def test_more_a_counter_that_starts_anew(machine):
    """A counter that was set back to 0 is taken for a wrap, or its next value for today's energy.
    traktore-org/sem-community #782, victronenergy/dbus-fronius #18."""
    m = machine(["intel-rapl:0,name=package-0,power=50,offset=20000000000"])
    run = m.script(0.2, "intel-rapl:0 energy 0", 0.3)
    assert run.energy_j is None and "backwards" in run.energies["package-0"]["fault"]


def test_more_the_range_cannot_be_read(machine):
    """Without max_energy_range_uj a wrap becomes a large negative energy. mlco2/codecarbon #1309."""
    zone = "sys/class/powercap/intel-rapl:0"
    m = machine(files=[f"{zone}/name,text=package-0", f"{zone}/enabled,text=1",
                       f"{zone}/energy_uj,power=50,unit=uJ,wrap=65532610987,offset=65532000000"])
    run = m.script(0.3, f"{zone}/energy_uj energy 1000", 0.2)
    assert run.energy_j is None or 0 < run.energy_j < 1000, run.energies


def test_more_a_huge_value_once(machine):
    """One reading of nonsense is a peak of gigawatts. ocerman/zenmonitor #17,
    sustainable-computing-io/kepler PR#53 (18446744073447456768)."""
    m = machine(["intel-rapl:0,name=package-0,power=50,max_power=100"])
    run = m.script(0.2, "intel-rapl:0 fault garbage 1", 0.3)
    run.assert_energy(50)


def test_more_two_meters_that_disagree(machine, place):
    """A counter and another meter of the same thing are a factor apart, and nobody says so. kokkos/kokkos-tools PR#295,
    ml-energy/zeus #181."""
    (place / "cpuinfo").write_text(cpuinfo("Intel(R) Core(TM) i7-8700K", model=158))
    m = machine(["intel-rapl:0,name=package-0,power=50"],
                [f"proc/cpuinfo,from={place / 'cpuinfo'}", "dev/cpu/0/msr,msr=1,0x606=0xa0e03,0x611=power:60"])
    run = m.sleep(0.5, "--sources", "powercap,msr")
    run.assert_energy(50)
    assert "differ by" in run.repeat["note"] or "differ by" in run.text()


def test_more_a_failed_reading_does_not_stop_the_rest(machine):
    """After one failed reading none is made any more. sustainable-computing-io/kepler PR#87."""
    m = machine(["intel-rapl:0,name=package-0,power=50", "intel-rapl:0:0,name=dram,power=5"])
    run = m.script(0.15, "intel-rapl:0:0 fault EIO 2", 0.3, options=["--sample-hz", "50"])
    run.assert_energy(55)


def test_more_the_cray_node_counts_once(machine):
    """The node's counter and the counters of its parts, added; whole joules ten times a second. Row 7 on
    HPE Cray EX."""
    run = machine(files=cray(800)).sleep(1.2)
    assert run.summary["scopes"] == "node"
    assert abs(run.energy_j - 800 * run.duration_s) <= 800 * 0.21 + 1


def test_more_cray_values_that_stand_still(machine):
    """A controller that has stopped scanning shows 0 W for ever: its freshness tells. Row 5 on HPE Cray EX."""
    m = machine(files=cray(800, tick_ms=50))
    run = m.script(0.3, *[f"{CRAY}/{name} freeze" for name in ("power", "energy", "cpu_energy", "freshness")], 2)
    assert run.energy_j is None, run.energies


def test_more_a_battery_tells_what_leaves_it(machine):
    """Watts of a battery are the machine's only while it discharges. Pijuli/GnomePowerTracker #26,
    AdnanHodzic/auto-cpufreq PR#977."""
    run = machine(files=battery("Discharging")).sleep(1.2)
    assert run.summary["scopes"] == "platform" and abs(run.energy_j - 9.5 * run.duration_s) < 1


def test_more_a_battery_that_charges_meters_nothing(machine):
    """What flows into a battery is taken for what the machine draws. AdnanHodzic/auto-cpufreq PR#977."""
    probe = machine(files=battery("Charging")).probe()
    assert not [channel for channel in probe.counted if channel["source"] == "battery"]


def test_more_a_battery_that_begins_to_charge(machine):
    """The cable is plugged in while it runs. corecoding/Vitals #223."""
    m = machine(files=battery("Discharging"))
    run = m.script(0.4, f"{BATTERY}/status text Charging", 2)
    assert run.energies["battery"]["energy_j"] is None and run.energies["battery"]["fault"]


def test_more_a_negative_current(machine):
    """Some drivers write what leaves a battery with a minus, as the kernel's rules have it: 0 W.
    enkore/i3pystatus #729, fenrus75/powertop PR#173."""
    files = [file for file in battery("Discharging") if "power_now" not in file]
    current = [f"{BATTERY}/current_now,power=0.756,unit=uW,format=-%v", f"{BATTERY}/voltage_now,text=12600000"]
    run = machine(files=[*files, *current]).sleep(1.2)
    assert abs(run.energy_j - 0.756 * 12.6 * run.duration_s) < 1


DCMI = """
    Instantaneous power reading:                   {} Watts
    Minimum during sampling period:                {} Watts
    Maximum during sampling period:                {} Watts
    Average power reading over sample period:      {} Watts
    IPMI timestamp:                           Thu Jan  1 00:00:00 1970
    Sampling period:                          00000000 Seconds.
    Power reading state is:                   {}
"""


def test_more_a_bmc_that_reads_nothing(machine):
    """"0 Watts", and the state is "deactivated": no reading. openbmc/phosphor-host-ipmid #167."""
    probe = machine(plain={"commands/ipmitool dcmi power reading": DCMI.format(0, 0, 0, 0, "deactivated")}).probe()
    assert not [channel for channel in probe.counted if channel["source"] == "ipmi"]


def test_more_a_bmc_that_reads(machine):
    """The other way round: the instantaneous reading is the one, and the node's. lovoo/ipmi_exporter #18."""
    answer = DCMI.format(215, 162, 276, 176, "activated")
    probe = machine(plain={"commands/ipmitool dcmi power reading": answer}).probe()
    counted = [channel for channel in probe.counted if channel["source"] == "ipmi"]
    assert len(counted) == 1 and counted[0]["scope"] == "node"
