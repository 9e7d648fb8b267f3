/* Watts from what a machine is and how busy it is, for machines that have no meter. Pure.
 *
 * At the wall, for one machine:
 *
 *     P(load) = idle + (full - idle) x shape(load)
 *
 * ln(full / sockets) and ln(idle / sockets) are sums of terms (src/data/power_terms.csv): TDP, cores and memory of
 * one socket, the number of sockets, the year of the processor's family, whether it is client silicon; and what
 * published machines with the same family, the same CPU model, and as many sockets of it have in common beyond
 * that, each drawn towards zero the more the fewer there are (ridge regression). `shape` is the family's
 * (power_families.csv), linear between tenths. scripts/train-model makes the tables from published SPECpower
 * results; src/data/README.md has the errors by cross-validation, and from there the 95 % interval
 * (power_intervals.csv).
 *
 * At the package: 37 % of the wall's idle watts, and 76 % of what load adds at the wall (term `package`, measured
 * on one machine at plug and RAPL at once), at most 110 % of TDP; for CPU models that were measured by RAPL, their
 * own curve (power_packages.csv). Memory is in the wall's watts, not in the package's.
 *
 * Unknown cells are filled from the family, and widen the interval. */
#ifndef ME_CURVE_H
#define ME_CURVE_H

#include <stdbool.h>

struct me_cpu_row { /* of src/data/cpu_tdp.csv */
    char model[96];
    char key[96]; /* what all spellings of it have in common: "xeone52620v3" */
    double tdp_w; /* of one processor */
    int cores;    /* of one processor; 0: not known */
    int threads;  /* of one processor; twice the cores where the table knows those only; 0: not known */
    bool threads_guessed; /* the table knows the cores only */
};

struct me_curve_cpu { /* what its name tells */
    struct me_cpu_row row;
    bool found;      /* it has a TDP in the table */
    char family[64]; /* "" if not known */
    double year;     /* of the family; 0: not known */
    bool small;      /* of client silicon: low power at rest */
};
void me_curve_cpu(const char *model, struct me_curve_cpu *cpu);

struct me_curve_machine {             /* 0, less, or NaN: not known */
    double sockets, cores, memory_gb; /* of the whole machine */
    double share; /* of a machine, for a virtual one: then `memory_gb` and `cores` are those of the share */
};

enum me_curve_known { ME_CURVE_CPU, ME_CURVE_FAMILY, ME_CURVE_NONE };
const char *me_curve_known_name(enum me_curve_known known); /* "cpu", "family", "none" */

enum { ME_CURVE_POINTS = 11 }; /* loads 0, 0.1 .. 1 */
struct me_curve {
    double wall_w[ME_CURVE_POINTS], package_w[ME_CURVE_POINTS]; /* never fall */
    double low[3], high[3];    /* of the interval: ln(bound / wall) at loads 0, 0.5 and 1 */
    enum me_curve_known known; /* had published curves of this CPU model, of its family, or of neither */
    char basis[304];
};
/* Never fails: a machine of which nothing is known gets a wide interval, and `basis` says so. */
void me_curve_make(const struct me_curve_cpu *cpu, const struct me_curve_machine *machine,
                   struct me_curve *curve);

/* Watts at a load, which is taken into 0 .. 1. A load that is not known (NaN) is taken as one half, and its
 * interval reaches from the low end at rest to the high end at full load. */
double me_curve_package_w(const struct me_curve *curve, double load);
double me_curve_wall_w(const struct me_curve *curve, double load);
double me_curve_wall_low_w(const struct me_curve *curve, double load);
double me_curve_wall_high_w(const struct me_curve *curve, double load);

#endif
