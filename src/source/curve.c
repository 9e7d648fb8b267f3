#include "cpu.h"
#include "me/data.h"
#include <fnmatch.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TERMS = 18 };
static const double plausible_gb = 0.1; /* a core; less was written in another unit */

struct term { /* wanted: its value for this machine; found: its coefficients */
    const char *name;
    char key[112];
    double value, usual, full, idle; /* usual: its value with the family's usual memory */
    int machines;
};

struct family { /* a row of power_families.csv; that of "" is all of them */
    bool found;
    int machines, curves;
    double idle_share, tdp_w, cores, gb_per_core, shape[ME_CURVE_POINTS];
};

struct complete { /* a machine without unknown cells */
    double sockets, cores_each, tdp_w, gb_per_core, usual_gb_per_core, year, small, share;
    bool no_cpu, no_sockets, no_cores, no_memory, part;
    struct family family, all;
};

const char *me_curve_known_name(enum me_curve_known known)
{
    static const char *const names[] = {"cpu", "family", "none"};
    return names[known];
}

static void open_table(struct me_csv *csv, const char *name)
{
    size_t len = 0;
    const char *text = me_data_find(name, &len);
    me_csv_begin(csv, text ? text : "", len);
}

static double number(const struct me_csv *csv, const char *column)
{
    return atof(me_csv_cell(csv, column));
}

static bool match_family(const char *key, struct me_curve_cpu *cpu)
{
    struct me_csv csv;
    for (open_table(&csv, "cpu_families.csv"); me_csv_next(&csv);) {
        if (fnmatch(me_csv_cell(&csv, "pattern"), key, 0)) continue;
        snprintf(cpu->family, sizeof cpu->family, "%.63s", me_csv_cell(&csv, "family"));
        cpu->year = number(&csv, "year");
        cpu->small = number(&csv, "small") > 0;
        return true;
    }
    return false;
}

void me_curve_cpu(const char *model, struct me_curve_cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    cpu->found = me_cpu_find(model, &cpu->row);
    if (cpu->row.key[0]) match_family(cpu->row.key, cpu);
}

static void read_shape(const struct me_csv *csv, double *points)
{
    static const char *const columns[] = {"s0",  "s10", "s20", "s30", "s40", "s50",
                                          "s60", "s70", "s80", "s90", "s100"};
    for (int i = 0; i < ME_CURVE_POINTS; i++) points[i] = number(csv, columns[i]);
}

static void read_families(const char *name, struct family *family, struct family *all)
{
    struct me_csv csv;
    memset(family, 0, sizeof *family);
    memset(all, 0, sizeof *all);
    for (open_table(&csv, "power_families.csv"); me_csv_next(&csv);) {
        const char *cell = me_csv_cell(&csv, "family");
        if (*cell && strcmp(cell, name)) continue;
        struct family *out = *cell ? family : all;
        out->found = true;
        out->machines = atoi(me_csv_cell(&csv, "machines"));
        out->curves = atoi(me_csv_cell(&csv, "curves"));
        out->idle_share = number(&csv, "idle_share");
        out->tdp_w = number(&csv, "tdp_w");
        out->cores = number(&csv, "cores");
        out->gb_per_core = number(&csv, "gb_per_core");
        read_shape(&csv, out->shape);
        out->shape[0] = 0;
        out->shape[ME_CURVE_POINTS - 1] = 1;
    }
}

static double known_or_0(double value)
{
    return isfinite(value) && value > 0 ? value : 0;
}

static void count_cores(const struct me_curve_cpu *cpu, double cores, struct complete *c)
{
    double each = cpu->row.cores;
    c->no_sockets = c->sockets <= 0;
    if (c->no_sockets) c->sockets = cores > 0 && each > 0 ? fmax(1, floor(cores / each + 0.5)) : 1;
    if (each > 0) { /* the table knows better: people also count those of one socket only */
        if (c->share <= 0 && cores > 0 && cores < 0.45 * each) {
            c->share = cores / (c->sockets * each);
            c->part = true;
        }
        c->cores_each = each;
    } else if (cores > 0) {
        c->cores_each = cores / c->sockets / (c->share > 0 ? c->share : 1);
    } else {
        c->no_cores = true;
        c->cores_each = c->family.found ? c->family.cores : 8;
    }
    c->cores_each = fmin(fmax(c->cores_each, 1), 1024);
    if (c->share <= 0) c->share = 1;
}

/* TDP of a processor without any, from its cores (term tdp_guess). */
static double guess_tdp(double cores)
{
    struct me_csv csv;
    for (open_table(&csv, "power_terms.csv"); me_csv_next(&csv);)
        if (!strcmp(me_csv_cell(&csv, "term"), "tdp_guess"))
            return exp(number(&csv, "full") + number(&csv, "idle") * log(cores));
    return 100;
}

static void complete_machine(const struct me_curve_cpu *cpu, const struct me_curve_machine *machine,
                             struct complete *c)
{
    memset(c, 0, sizeof *c);
    read_families(cpu->family, &c->family, &c->all);
    c->share = fmin(known_or_0(machine->share), 1);
    c->sockets = fmin(floor(known_or_0(machine->sockets) + 0.5), 1e6);
    count_cores(cpu, fmin(known_or_0(machine->cores), 1e9), c);
    c->tdp_w = cpu->found ? cpu->row.tdp_w : c->family.tdp_w > 0 ? c->family.tdp_w : guess_tdp(c->cores_each);
    c->gb_per_core = known_or_0(machine->memory_gb) / (c->sockets * c->cores_each * c->share);
    c->no_memory = c->gb_per_core < plausible_gb;
    c->usual_gb_per_core = c->family.found ? c->family.gb_per_core : 4;
    if (c->no_memory) c->gb_per_core = c->usual_gb_per_core;
    c->gb_per_core = fmin(fmax(c->gb_per_core, 0.5), 32);
    c->year = cpu->year > 0 ? cpu->year : 2020;
    c->no_cpu = !cpu->found && !cpu->family[0];
    c->small = cpu->family[0] ? cpu->small : c->sockets == 1 && c->cores_each <= 8;
}

static void want(struct term *terms, int *n, const char *name, const char *key, int bucket, double value)
{
    struct term *term = &terms[(*n)++];
    *term = (struct term){.name = name, .value = value, .usual = value};
    if (bucket)
        snprintf(term->key, sizeof term->key, "%.96s:%d", key, bucket);
    else
        snprintf(term->key, sizeof term->key, "%.96s", key);
}

static int want_terms(const struct me_curve_cpu *cpu, const struct complete *c, struct term *terms)
{
    double memory = log(c->gb_per_core * c->cores_each / 64);
    double usual = log(c->usual_gb_per_core * c->cores_each / 64);
    int n = 0, bucket = (int)fmin(c->sockets, 5);
    want(terms, &n, "one", "", 0, 1);
    want(terms, &n, "tdp", "", 0, log(c->tdp_w / 150));
    want(terms, &n, "cores", "", 0, log(c->cores_each / 16));
    want(terms, &n, "memory", "", 0, memory);
    terms[n - 1].usual = usual;
    want(terms, &n, "sockets", "", 0, log(c->sockets));
    want(terms, &n, "sockets1", "", 0, c->sockets == 1);
    want(terms, &n, "sockets4", "", 0, c->sockets == 4);
    want(terms, &n, "sockets5", "", 0, c->sockets > 4);
    want(terms, &n, "many", "", 0, fmax(0, log(c->sockets / 4)));
    want(terms, &n, "year", "", 0, (c->year - 2016) / 5);
    want(terms, &n, "year12", "", 0, fmax(0, c->year - 2012) / 5);
    want(terms, &n, "year18", "", 0, fmax(0, c->year - 2018) / 5);
    want(terms, &n, "small", "", 0, c->small);
    want(terms, &n, "cpu", cpu->row.key, 0, 1);
    want(terms, &n, "cpu_sockets", cpu->row.key, bucket, 1);
    if (!cpu->family[0]) return n;
    want(terms, &n, "family", cpu->family, 0, 1);
    want(terms, &n, "family_memory", cpu->family, 0, memory);
    terms[n - 1].usual = usual;
    want(terms, &n, "family_sockets", cpu->family, bucket, 1);
    return n;
}

static void find_terms(struct term *terms, int n, struct term *package)
{
    struct me_csv csv;
    for (open_table(&csv, "power_terms.csv"); me_csv_next(&csv);) {
        const char *name = me_csv_cell(&csv, "term"), *key = me_csv_cell(&csv, "key");
        struct term *hit = strcmp(name, "package") ? NULL : package;
        for (int i = 0; i < n && !hit; i++)
            if (!strcmp(terms[i].name, name) && !strcmp(terms[i].key, key)) hit = &terms[i];
        if (!hit) continue;
        hit->full = number(&csv, "full");
        hit->idle = number(&csv, "idle");
        hit->machines = atoi(me_csv_cell(&csv, "machines"));
    }
}

static int term_machines(const struct term *terms, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(terms[i].name, name)) return terms[i].machines;
    return 0;
}

static void find_interval(const struct complete *c, struct me_curve *curve)
{
    struct me_csv csv;
    double widen = 1;
    for (open_table(&csv, "power_intervals.csv"); me_csv_next(&csv);) {
        const char *known = me_csv_cell(&csv, "known");
        if ((c->no_cpu && !strcmp(known, "no cpu")) || (c->no_sockets && !strcmp(known, "no sockets")) ||
            (c->no_cores && !strcmp(known, "no cores")) || (c->no_memory && !strcmp(known, "no memory_gb")))
            widen *= number(&csv, "high");
        if (strcmp(known, me_curve_known_name(curve->known))) continue;
        int end = (int)(number(&csv, "load") * 2);
        curve->low[end] = number(&csv, "low");
        curve->high[end] = number(&csv, "high");
    }
    for (int i = 0; i < 3; i++) {
        curve->low[i] *= widen;
        curve->high[i] *= widen;
    }
}

/* The package's own curve where the CPU model was measured; the number of points, or 0. */
static int find_package(const char *key, double scale, double *package_w)
{
    struct me_csv csv;
    for (open_table(&csv, "power_packages.csv"); me_csv_next(&csv);) {
        if (strcmp(me_csv_cell(&csv, "key"), key)) continue;
        read_shape(&csv, package_w);
        for (int i = 0; i < ME_CURVE_POINTS; i++) package_w[i] *= scale;
        return atoi(me_csv_cell(&csv, "points"));
    }
    return 0;
}

/* Watts of one socket at rest and at full load, with its own memory or the usual one. */
static void find_ends(const struct term *terms, int n, bool usual, double *idle, double *full)
{
    double ln_full = 0, ln_idle = 0;
    for (int i = 0; i < n; i++) {
        ln_full += terms[i].full * (usual ? terms[i].usual : terms[i].value);
        ln_idle += terms[i].idle * (usual ? terms[i].usual : terms[i].value);
    }
    *full = exp(ln_full);
    *idle = fmin(exp(ln_idle), 0.95 * *full);
}

static int draw(const struct me_curve_cpu *cpu, const struct complete *c, const struct term *terms, int n,
                const struct term *package, struct me_curve *curve)
{
    double full, idle, lean_full, lean_idle, scale = c->sockets * c->share;
    find_ends(terms, n, false, &idle, &full);
    find_ends(terms, n, true, &lean_idle, &lean_full); /* memory is not in the package */
    double package_full =
        fmin(package->idle * lean_idle + package->full * (lean_full - lean_idle), 1.1 * c->tdp_w);
    double package_idle = fmin(fmin(package->idle * lean_idle, 0.35 * c->tdp_w), 0.8 * package_full);
    const double *shape = c->family.found ? c->family.shape : c->all.shape;
    for (int i = 0; i < ME_CURVE_POINTS; i++) {
        curve->wall_w[i] = (idle + (full - idle) * shape[i]) * scale;
        curve->package_w[i] = (package_idle + (package_full - package_idle) * shape[i]) * scale;
    }
    return find_package(cpu->row.key, scale, curve->package_w);
}

static const char *plural(int n)
{
    return n == 1 ? "" : "s";
}

static __attribute__((format(printf, 2, 3))) void add(struct me_curve *curve, const char *format, ...)
{
    size_t len = strlen(curve->basis);
    va_list args;
    va_start(args, format);
    vsnprintf(curve->basis + len, sizeof curve->basis - len, format, args);
    va_end(args);
}

/* Which curves it came from, and what was not known. */
static void say(const struct me_curve_cpu *cpu, const struct complete *c, int machines, int points,
                struct me_curve *curve)
{
    const struct family *f = c->family.found ? &c->family : &c->all;
    const char *model = cpu->found ? cpu->row.model : cpu->row.key;
    if (curve->known == ME_CURVE_CPU)
        add(curve, "%d machine%s with %.48s; ", machines, plural(machines), model);
    if (c->family.found)
        add(curve, "family %s, %d curve%s, idle %.0f %%", cpu->family, f->curves, plural(f->curves),
            100 * f->idle_share);
    else
        add(curve, "no curve of %s%s: all %d by TDP, cores and year",
            cpu->family[0] ? "family " : "this processor", cpu->family, f->curves);
    add(curve, cpu->found ? "; TDP %.4g W" : "; no TDP known, taken as %.0f W", c->tdp_w);
    if (points) add(curve, "; its package measured at %d points", points);
    if (c->part) add(curve, "; taken as %.3g %% of a machine, by its cores", 100 * c->share);
    if (c->no_sockets || c->no_cores || c->no_memory)
        add(curve, "; guessed:%s%s%s", c->no_sockets ? " sockets" : "", c->no_cores ? " cores" : "",
            c->no_memory ? " memory" : "");
}

void me_curve_make(const struct me_curve_cpu *cpu, const struct me_curve_machine *machine,
                   struct me_curve *curve)
{
    struct complete c;
    struct term terms[TERMS], package = {.full = 0.75, .idle = 0.33};
    memset(curve, 0, sizeof *curve);
    complete_machine(cpu, machine, &c);
    int n = want_terms(cpu, &c, terms);
    find_terms(terms, n, &package);
    int machines = term_machines(terms, n, "cpu");
    curve->known = machines                           ? ME_CURVE_CPU
                   : c.family.found && cpu->family[0] ? ME_CURVE_FAMILY
                                                      : ME_CURVE_NONE;
    find_interval(&c, curve);
    int points = draw(cpu, &c, terms, n, &package, curve);
    say(cpu, &c, machines, points, curve);
}

static double lerp(const double *values, int n, double load)
{
    double at = fmin(fmax(load, 0), 1) * (n - 1);
    int i = at < n - 2 ? (int)at : n - 2;
    return values[i] + (values[i + 1] - values[i]) * (at - i);
}

double me_curve_package_w(const struct me_curve *curve, double load)
{
    return lerp(curve->package_w, ME_CURVE_POINTS, isnan(load) ? 0.5 : load);
}

double me_curve_wall_w(const struct me_curve *curve, double load)
{
    return lerp(curve->wall_w, ME_CURVE_POINTS, isnan(load) ? 0.5 : load);
}

double me_curve_wall_low_w(const struct me_curve *curve, double load)
{
    double at = isnan(load) ? 0 : load;
    return me_curve_wall_w(curve, at) * exp(lerp(curve->low, 3, at));
}

double me_curve_wall_high_w(const struct me_curve *curve, double load)
{
    double at = isnan(load) ? 1 : load;
    return me_curve_wall_w(curve, at) * exp(lerp(curve->high, 3, at));
}
