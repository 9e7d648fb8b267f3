/* The source `hwmon`: energy and power sensors of the Linux hardware monitoring class, in
 * sys/class/hwmon. Facts from the kernel's Documentation/hwmon (sysfs-interface.rst and the page of each
 * driver named in hwmon_table.c).
 *
 * Nothing tells a program what a sensor's watts belong to but the chip's name and the sensor's label,
 * so what counts stands in a table; a sensor that is not in it is shown and never counted. */
#ifndef ME_SOURCE_HWMON_H
#define ME_SOURCE_HWMON_H

#include "me/source.h"

extern const struct me_source_ops me_hwmon_ops;

enum me_hwmon_quantity {
    ME_HWMON_ENERGY,  /* energyN_input, uJ since some beginning */
    ME_HWMON_POWER,   /* powerN_input or powerN_average, uW */
    ME_HWMON_PRODUCT, /* inN_input x currN_input, mV x mA = uW; where a driver shows no power */
};

struct me_hwmon_sensor {
    char chip[40];  /* the driver's name for the chip: "power_meter"; its directory's name if it has none */
    char label[48]; /* what it measures, printable ASCII; "" if the chip does not say */
    enum me_hwmon_quantity quantity;
    unsigned index;      /* the N of powerN_input */
    unsigned chip_index; /* which chip of the machine */
    unsigned ordinal;    /* which chip of that name: 0 for the first */
    bool average;        /* powerN_average is read, and not powerN_input */
    double window_s;     /* what it averages over; 0 where not told */
    double update_s;     /* how often it has something new; 0 where not told */
    bool disabled;       /* powerN_enable is 0 */
    bool is_battery;     /* powerN_is_battery is 1 */
    bool apu;            /* a graphics chip that is a part of the processor */
    char device[24];     /* PCI address, or "" */
    char value[128];     /* path of the file that is read */
    char factor[128];    /* path of the current, for products; else "" */
    char fault[128];     /* path of powerN_fault, or "" */
};

/* All energy and power sensors, chips in the order of their numbers; *count is 0 if there are none.
 * The caller frees *sensors. */
int me_hwmon_scan(const struct me_root *root, struct me_hwmon_sensor **sensors, size_t *count,
                  struct me_error *err);

/* Where a sensor stands in the machine. */
struct me_hwmon_place {
    enum me_scope scope;
    char name[48];
    int package;         /* or -1 */
    const char *why_not; /* a reason that never goes away, or NULL */
    bool is_set;         /* the machine has one such sensor a socket, supply or part, and their sum counts:
                          * if one of them has no value, the others' sum is not the machine's */
    bool never_zero;     /* covers so much of a running machine that 0 W is no reading */
    bool anonymous;      /* of several of its kind, nothing tells them apart */
    bool supply;         /* a power supply's input */
    double period_s;     /* how often it has something new, where the driver does not tell */
};
/* By the table of known chips. */
void me_hwmon_place(const struct me_hwmon_sensor *sensor, struct me_hwmon_place *place);

/* The largest watts that a sensor of the scope can show; above it the value is an error code. */
double me_hwmon_bound_w(enum me_scope scope);
/* A powerN value in uW to watts; 0, or the errno for what cannot be a power: ENODATA for the error
 * codes of firmware and drivers (all ones of 16, 31 or 32 bits in W, mW or uW), ERANGE for what is
 * negative or above the bound. */
int me_hwmon_watts(long long uw, double bound_w, double *watts);

/* Settles among the sensors which of them may count, by writing why_not: twins of one chip, sets that
 * are not whole, meters that nothing tells apart. watts[i] is the first reading, NAN for a counter or
 * where channels[i].why_not tells why there is none. */
void me_hwmon_settle(const struct me_hwmon_sensor *sensors, const struct me_hwmon_place *places,
                     const double *watts, struct me_channel *channels, size_t count);

#endif
