/* The power model: the evaluation in C against numbers of scripts/train-model, and its sanity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "me/curve.h"
#include "me/data.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct me_curve make(const char *name, double sockets, double cores, double memory_gb)
{
    struct me_curve_cpu cpu;
    struct me_curve curve;
    struct me_curve_machine machine = {.sockets = sockets, .cores = cores, .memory_gb = memory_gb};
    me_curve_cpu(name, &cpu);
    me_curve_make(&cpu, &machine, &curve);
    return curve;
}

static char *read_cases(size_t *len)
{
    FILE *file = fopen(ME_TEST_DIR "/golden/model_cases.csv", "r");
    assert_non_null(file);
    char *text = malloc(1 << 20);
    *len = fread(text, 1, 1 << 20, file);
    fclose(file);
    return text;
}

static void check_near(const char *cpu, const char *what, double is, double should)
{
    if (fabs(is - should) > 1e-3 + 1e-6 * should) fail_msg("%s: %s is %.6f, not %.6f", cpu, what, is, should);
}

static void test_as_trained(void **state)
{
    (void)state;
    size_t len, rows = 0;
    char *text = read_cases(&len);
    struct me_csv csv;
    for (me_csv_begin(&csv, text, len); me_csv_next(&csv); rows++) {
        const char *name = me_csv_cell(&csv, "cpu"), *cell = me_csv_cell(&csv, "load");
        struct me_curve_cpu cpu;
        struct me_curve curve = make(name, atof(me_csv_cell(&csv, "sockets")),
                                     atof(me_csv_cell(&csv, "cores")), atof(me_csv_cell(&csv, "memory_gb")));
        double load = *cell ? atof(cell) : NAN;
        me_curve_cpu(name, &cpu);
        assert_string_equal(cpu.family, me_csv_cell(&csv, "family"));
        assert_string_equal(me_curve_known_name(curve.known), me_csv_cell(&csv, "known"));
        check_near(name, "package_w", me_curve_package_w(&curve, load), atof(me_csv_cell(&csv, "package_w")));
        check_near(name, "wall_w", me_curve_wall_w(&curve, load), atof(me_csv_cell(&csv, "wall_w")));
        check_near(name, "wall_low_w", me_curve_wall_low_w(&curve, load),
                   atof(me_csv_cell(&csv, "wall_low_w")));
        check_near(name, "wall_high_w", me_curve_wall_high_w(&curve, load),
                   atof(me_csv_cell(&csv, "wall_high_w")));
    }
    assert_true(rows > 150);
    free(text);
}

/* Whatever people write: watts above 0, within the interval, never less at a higher load, a basis. */
static void check_sane(const struct me_curve *curve)
{
    double before_w = 0, before_package_w = 0;
    for (int i = -2; i <= 102; i++) {
        double load = i / 100.0, wall_w = me_curve_wall_w(curve, load),
               package_w = me_curve_package_w(curve, load);
        assert_true(isfinite(wall_w) && wall_w > 0 && isfinite(package_w) && package_w > 0);
        assert_true(wall_w >= before_w && package_w >= before_package_w);
        assert_true(me_curve_wall_low_w(curve, load) <= wall_w && me_curve_wall_low_w(curve, load) > 0);
        assert_true(me_curve_wall_high_w(curve, load) >= wall_w &&
                    isfinite(me_curve_wall_high_w(curve, load)));
        before_w = wall_w;
        before_package_w = package_w;
    }
    double unknown_w = me_curve_wall_w(curve, NAN);
    assert_true(unknown_w == me_curve_wall_w(curve, 0.5));
    assert_true(me_curve_wall_low_w(curve, NAN) <= me_curve_wall_low_w(curve, 0) + 1e-9);
    assert_true(me_curve_wall_high_w(curve, NAN) >= me_curve_wall_high_w(curve, 1) - 1e-9);
    assert_true(me_curve_wall_w(curve, INFINITY) == curve->wall_w[10]);
    assert_true(me_curve_wall_w(curve, -INFINITY) == curve->wall_w[0]);
    assert_true(curve->basis[0] && strlen(curve->basis) < sizeof curve->basis - 1);
}

static void test_odd_input(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        " ",
        "?",
        "(R)(R)(TM)",
        "GHz",
        "2 GHz",
        "9.9.9GHz",
        "@",
        "Intel",
        "AMD ",
        "Xeon",
        "[",
        "*",
        "[a-",
        "\\",
        "Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz",
        "AMD EPYC 9965 192-Core Processor",
        "Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz",
        "POWER9, altivec supported",
        "\xff\xfe\x80",
        "Cortex-A72",
    };
    static const double numbers[] = {NAN, -INFINITY, INFINITY, -1, 0, 1e-300, 0.3, 1, 2.5, 64, 1e9, 1e300};
    const size_t n = sizeof numbers / sizeof *numbers;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct me_curve_cpu cpu;
        me_curve_cpu(names[i], &cpu);
        for (size_t k = 0; k < n * n; k += 1 + k % 3) {
            struct me_curve curve;
            struct me_curve_machine machine = {numbers[k % n], numbers[k / n], numbers[(k * 7 + i) % n],
                                               numbers[(k * 5 + i) % n]};
            me_curve_make(&cpu, &machine, &curve);
            check_sane(&curve);
        }
    }
    char longest[5000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct me_curve curve = make(longest, 2, 8, 64);
    check_sane(&curve);
}

/* Known processors stay near what they are built for. */
static void test_near_tdp(void **state)
{
    (void)state;
    static const struct {
        const char *cpu;
        double sockets, cores, memory_gb, tdp_w;
        double least, most; /* package at full load / TDP of all sockets */
        double wall_w[2];   /* at full load, between */
    } cases[] = {
        {"Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", 1, 4, 16, 15, 0.6, 1.1, {15, 50}},
        {"11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", 1, 4, 16, 28, 0.6, 1.1, {20, 60}},
        {"AMD Ryzen 7 5800U with Radeon Graphics", 1, 8, 16, 15, 0.6, 1.1, {15, 60}},
        {"AMD Ryzen 9 5950X 16-Core Processor", 1, 16, 64, 105, 0.5, 1.1, {70, 200}},
        {"Intel(R) Celeron(R) CPU J4125 @ 2.00GHz", 1, 4, 8, 10, 0.5, 1.1, {8, 40}},
        {"Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz", 2, 12, 64, 85, 0.5, 0.8, {150, 280}},
        {"AMD Ryzen Threadripper 1950X 16-Core Processor", 1, 16, 64, 180, 0.85, 1.0, {150, 350}},
        {"AMD EPYC 9575F 64-Core Processor", 2, 128, 768, 400, 0.5, 1.1, {600, 1300}},
        {"AMD EPYC 9965 192-Core Processor", 2, 384, 768, 500, 0.5, 1.1, {700, 1300}},
        {"Intel(R) Xeon(R) 6980P", 2, 256, 768, 500, 0.6, 1.1, {900, 1500}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_curve curve = make(cases[i].cpu, cases[i].sockets, cases[i].cores, cases[i].memory_gb);
        double share = me_curve_package_w(&curve, 1) / (cases[i].tdp_w * cases[i].sockets);
        if (share < cases[i].least || share > cases[i].most)
            fail_msg("%s: package at %.2f of TDP", cases[i].cpu, share);
        double wall_w = me_curve_wall_w(&curve, 1);
        if (wall_w < cases[i].wall_w[0] || wall_w > cases[i].wall_w[1])
            fail_msg("%s: %.1f W at the wall", cases[i].cpu, wall_w);
        assert_true(wall_w > me_curve_package_w(&curve, 1));
        check_sane(&curve);
    }
}

/* CodeCarbon issue 629: memory that is modelled at hundreds of watts. */
static void test_memory_is_not_hundreds_of_watts(void **state)
{
    (void)state;
    static const char *const names[] = {"AMD EPYC 7763", "Intel Xeon Platinum 8380", "AMD EPYC 9654", "",
                                        "Intel Xeon X5670"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct me_curve little = make(names[i], 2, 0, 128), much = make(names[i], 2, 0, 2048);
        double more_w = me_curve_wall_w(&much, 0) - me_curve_wall_w(&little, 0);
        if (more_w < 0 || more_w > 150) fail_msg("%s: 1920 GB are modelled at %.0f W", names[i], more_w);
        assert_true(me_curve_package_w(&much, 1) == me_curve_package_w(&little, 1));
    }
}

static void test_share(void **state)
{
    (void)state;
    struct me_curve_cpu cpu;
    struct me_curve whole, part;
    me_curve_cpu("AMD EPYC 7763 64-Core Processor", &cpu);
    me_curve_make(&cpu, &(struct me_curve_machine){1, 64, 256, 0}, &whole);
    me_curve_make(&cpu, &(struct me_curve_machine){1, 4, 16, 4.0 / 64}, &part);
    assert_true(fabs(me_curve_wall_w(&part, 0.7) * 16 - me_curve_wall_w(&whole, 0.7)) < 1e-6);
    part = make("AMD EPYC 7763 64-Core Processor", 1, 4, 16); /* told by its cores */
    assert_true(fabs(me_curve_package_w(&part, 0.7) * 16 - me_curve_package_w(&whole, 0.7)) < 1e-6);
    assert_non_null(strstr(part.basis, "taken as 6.25 % of a machine, by its cores"));
}

static void test_basis(void **state)
{
    (void)state;
    static const struct {
        const char *cpu;
        double sockets, cores, memory_gb;
        enum me_curve_known known;
        const char *parts[3];
    } cases[] = {
        {"AMD EPYC 7763 64-Core Processor",
         2,
         128,
         256,
         ME_CURVE_CPU,
         {" machines with AMD EPYC 7763; family AMD EPYC 7003 (Milan), ", " curves, idle ", "TDP 280 W"}},
        {"AMD EPYC 9575F",
         2,
         128,
         256,
         ME_CURVE_FAMILY,
         {"family AMD EPYC 9005 (Turin), ", " curves", "TDP 400 W"}},
        {"Intel Core i7-8650U",
         1,
         4,
         16,
         ME_CURVE_NONE,
         {"no curve of family Intel Core mobile: all ", "TDP 15 W", ""}},
        {"Elbrus-8C",
         1,
         8,
         16,
         ME_CURVE_NONE,
         {"no curve of this processor: all ", "no TDP known, taken as ", ""}},
        {"", 0, 0, 0, ME_CURVE_NONE, {"no curve of this processor", "guessed: sockets cores memory", ""}},
        {"Intel Xeon Platinum 8380", 2, 80, 1, ME_CURVE_CPU, {"guessed: memory", "", ""}}, /* 1 TB cut to 1 */
        {"Intel Xeon E5-2620 v3", 2, 12, 64, ME_CURVE_FAMILY, {"its package measured at 22 points", "", ""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct me_curve curve = make(cases[i].cpu, cases[i].sockets, cases[i].cores, cases[i].memory_gb);
        assert_int_equal(curve.known, cases[i].known);
        for (size_t k = 0; k < 3; k++)
            if (!strstr(curve.basis, cases[i].parts[k]))
                fail_msg("%s: \"%s\"", curve.basis, cases[i].parts[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_trained), cmocka_unit_test(test_odd_input),
        cmocka_unit_test(test_near_tdp),   cmocka_unit_test(test_memory_is_not_hundreds_of_watts),
        cmocka_unit_test(test_share),      cmocka_unit_test(test_basis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
