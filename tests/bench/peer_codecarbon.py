"""CodeCarbon around a command: peer_codecarbon.py PERIOD RESULT COMMAND... Writes what it says in joules."""
import json
import subprocess
import sys

from codecarbon import OfflineEmissionsTracker

period_s, result, command = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
tracker = OfflineEmissionsTracker(country_iso_code="DEU", measure_power_secs=period_s, tracking_mode="machine",
                                  save_to_file=False, allow_multiple_runs=True, log_level="error")
tracker.start()
try:
    subprocess.run(command, check=True)
finally:
    tracker.stop()
data = tracker.final_emissions_data
with open(result, "w") as file:
    json.dump({"energy_j": data.cpu_energy * 3.6e6, "ram_j": data.ram_energy * 3.6e6,
               "cpu": [type(part).__name__ + " " + getattr(part, "_mode", "") for part in tracker._hardware]}, file)
