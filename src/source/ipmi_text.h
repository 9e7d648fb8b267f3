/* What ipmitool, FreeIPMI and ipmiutil print about power, read strictly. Pure. */
#ifndef ME_SOURCE_IPMI_TEXT_H
#define ME_SOURCE_IPMI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* No single machine uses more. DCMI has 16 bits for its watts, and 65535 of them for "not known". */
#define ME_IPMI_MAX_W 30000.0

enum me_ipmi_role {
    ME_IPMI_TOTAL,  /* the whole machine: "Pwr Consumption", "System Level", "Total_Power" */
    ME_IPMI_SUPPLY, /* what one power supply draws: "PS1 Input Power"; all together are the machine */
    ME_IPMI_PART,   /* a part, or not known what */
};
struct me_ipmi_sensor {
    char name[40];
    unsigned nth; /* among the sensors of that name, from 0 */
    enum me_ipmi_role role;
    double watts; /* 0 and above */
};

/* The current power in the answer of `ipmitool dcmi power reading`, of `ipmi-dcmi
 * --get-system-power-statistics` or of `ipmiutil dcmi`. 0; ENODATA (the measurement is deactivated, or
 * shows 0 W, which no machine that is on uses), ERANGE (more than ME_IPMI_MAX_W) or EPROTO (something
 * else). A reading that the BMC calls deactivated is none, whatever its number. */
int me_ipmi_parse_dcmi(const char *text, double *watts);
/* Sensors in watts that have a reading, in the order of the text, from the tables of `ipmitool sdr list`,
 * `sdr elist` and `sensor`. Returns how many were written to sensors[max]. */
size_t me_ipmi_parse_sensors(const char *text, struct me_ipmi_sensor *sensors, size_t max);
/* What a sensor's name says that it measures. */
enum me_ipmi_role me_ipmi_role(const char *name);

#endif
