/* The source `battery`: what a machine draws from its batteries, from sys/class/power_supply
 * (Documentation/ABI/testing/sysfs-class-power and Documentation/power/power_supply_class.rst of the
 * kernel). All batteries together are one channel: a machine draws from one or from several at a time.
 * Names, models and serial numbers of batteries are not read and appear nowhere. */
#ifndef ME_SOURCE_BATTERY_H
#define ME_SOURCE_BATTERY_H

#include "me/source.h"

extern const struct me_source_ops me_battery_ops;

/* What a battery does. All but discharging and idle mean that the machine has another source of power,
 * and then the batteries do not tell what it draws. */
enum me_battery_status { ME_BATTERY_DISCHARGING, ME_BATTERY_IDLE, ME_BATTERY_POWERED };
/* From the file `status`: "Discharging", "Charging", "Full", "Not charging", "Unknown". A battery that is
 * "Unknown", "Full" or "Not charging" beside one that discharges is one that rests (idle); alone it means
 * that the machine is powered. Only "Charging" always does. */
enum me_battery_status me_battery_status(const char *text);

/* Microwatts that flow out of a battery that discharges, from power_now in uW; or from current_now in uA
 * and voltage_now in uV. The sign is that of the driver and means nothing here: some count what flows
 * out as negative. 0, or an errno: ENODATA for 0 (a machine that runs draws something; drivers say 0
 * before they know), ERANGE above 2 kW. */
int me_battery_watts(long long power_uw, double *watts);
int me_battery_product_watts(long long current_ua, long long voltage_uv, double *watts);

/* May a battery that discharges be believed at `now`, if the machine had another supply at `powered` (0:
 * never seen)? Not for 12 s: its gauge follows slowly, and a channel that is read once a second and has no
 * reading for more than 11 s makes the span unknown (me/series.h), where a shorter gap would be bridged as
 * if the battery had fed the machine all the while. */
bool me_battery_has_settled(int64_t powered_ns, int64_t now_ns);

#endif
