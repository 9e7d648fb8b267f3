/* The source battery: what discharging is, signs, sums, and the moments at which a battery says nothing
 * about the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "me_cmocka.h"

#include "../../src/source/battery.h"
#include "tree.h"
#include <errno.h>

#define SUPPLY "sys/class/power_supply/"

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        long long power, current, voltage; /* power, or the other two */
        int error;
        double watts;
    } cases[] = {
        {5002000, 0, 0, 0, 5.002},
        {-5002000, 0, 0, 0, 5.002}, /* the sign is the driver's taste */
        {0, 756000, 12600000, 0, 9.5256},
        {0, -756000, 12600000, 0, 9.5256},
        {0, 0, 12600000, ENODATA, 0},
        {0, 756000, 0, ENODATA, 0},
        {0, 756000, -1, ENODATA, 0},
        {2000000000, 0, 0, 0, 2000},
        {2000000001, 0, 0, ERANGE, 0},
        {INT64_MIN, 0, 0, ERANGE, 0},
        {0, INT64_MAX, INT64_MAX, ERANGE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double watts = -7;
        int error = cases[i].power ? me_battery_watts(cases[i].power, &watts)
                                   : me_battery_product_watts(cases[i].current, cases[i].voltage, &watts);
        assert_int_equal(error, cases[i].error);
        assert_float_equal(watts, error ? -7 : cases[i].watts, 1e-9);
    }
    assert_int_equal(me_battery_watts(0, &(double){0}), ENODATA);
    assert_int_equal(me_battery_status("Discharging"), ME_BATTERY_DISCHARGING);
    assert_int_equal(me_battery_status("Charging"), ME_BATTERY_POWERED);
    assert_int_equal(me_battery_status("Full"), ME_BATTERY_IDLE);
    assert_int_equal(me_battery_status("Not charging"), ME_BATTERY_IDLE);
    assert_int_equal(me_battery_status(""), ME_BATTERY_IDLE);
    assert_true(me_battery_has_settled(0, 1));
    assert_false(me_battery_has_settled(7, 7));
    assert_false(me_battery_has_settled(7, INT64_C(12000000007)));
    assert_true(me_battery_has_settled(7, INT64_C(12000000008)));
}

struct file {
    const char *path, *text;
};

static void put_files(const char *root, const struct file *files, size_t most)
{
    for (const struct file *f = files; f < files + most && f->path; f++) {
        char path[256];
        snprintf(path, sizeof path, SUPPLY "%s", f->path);
        tree_put(root, path, f->text);
    }
}

/* Opened, read once: the watts, or why there are none. */
static void test_machines(void **state)
{
    (void)state;
    static const struct {
        struct file files[12];
        size_t channels;
        double watts; /* 0: absent, with this reason */
        const char *reason;
    } cases[] = {
        {{{"BAT0/type", "Battery\n"}, {"BAT0/status", "Discharging\n"}, {"BAT0/power_now", "5002000\n"}},
         1,
         5.002,
         ""},
        {{{"BAT0/type", "Battery\n"},
          {"BAT0/status", "Discharging\n"},
          {"BAT0/power_now", "-5002000\n"},
          {"BAT0/energy_now", "36580000\n"}},
         2,
         5.002,
         ""},
        {{{"BAT0/type", "Battery\n"},
          {"BAT0/status", "Discharging\n"},
          {"BAT0/current_now", "756000\n"},
          {"BAT0/voltage_now", "12600000\n"}},
         1,
         9.5256,
         ""},
        {{{"BAT0/type", "Battery\n"}, /* power_now that says nothing */
          {"BAT0/status", "Discharging\n"},
          {"BAT0/power_now", "\n"},
          {"BAT0/current_now", "1000000\n"},
          {"BAT0/voltage_now", "10000000\n"}},
         1,
         10,
         ""},
        {{{"battery/status", "Discharging\n"}, {"battery/power_now", "4000000\n"}}, 1, 4, ""}, /* no type */
        {{{"BAT0/type", "Battery\n"}, /* one after the other, and both */
          {"BAT0/status", "Discharging\n"},
          {"BAT0/power_now", "6000000\n"},
          {"BAT1/type", "Battery\n"},
          {"BAT1/status", "Not charging\n"},
          {"BAT1/power_now", "0\n"}},
         1,
         6,
         ""},
        {{{"BAT0/type", "Battery\n"},
          {"BAT0/status", "Discharging\n"},
          {"BAT0/power_now", "6000000\n"},
          {"BAT1/type", "Battery\n"},
          {"BAT1/status", "Discharging\n"},
          {"BAT1/power_now", "-3000000\n"}},
         1,
         9,
         ""},
        {{{"BAT0/type", "Battery\n"}, /* an empty bay, and the battery of a mouse */
          {"BAT0/status", "Discharging\n"},
          {"BAT0/power_now", "6000000\n"},
          {"BAT1/type", "Battery\n"},
          {"BAT1/present", "0\n"},
          {"hidpp_battery_0/type", "Battery\n"},
          {"hidpp_battery_0/scope", "Device\n"},
          {"hidpp_battery_0/status", "Charging\n"}},
         1,
         6,
         ""},
        {{{"BAT0/type", "Battery\n"}, {"BAT0/status", "Full\n"}, {"BAT0/power_now", "-5243\n"}},
         0,
         0,
         "only while discharging"},
        {{{"BAT0/type", "Battery\n"}, {"BAT0/status", "Charging\n"}, {"BAT0/power_now", "30000000\n"}},
         0,
         0,
         "only while discharging"},
        {{{"BAT0/type", "Battery\n"}, /* one fills the other, or something else fills it */
          {"BAT0/status", "Discharging\n"},
          {"BAT0/power_now", "6000000\n"},
          {"BAT1/type", "Battery\n"},
          {"BAT1/status", "Charging\n"},
          {"BAT1/power_now", "2000000\n"}},
         0,
         0,
         "only while discharging"},
        {{{"BAT0/type", "Battery\n"}, /* an adapter too weak for the load: the battery gives a part only */
          {"BAT0/status", "Discharging\n"},
          {"BAT0/power_now", "3000000\n"},
          {"AC/type", "Mains\n"},
          {"AC/online", "1\n"}},
         0,
         0,
         "only while discharging"},
        {{{"BAT0/type", "Battery\n"},
          {"BAT0/status", "Discharging\n"},
          {"BAT0/power_now", "3000000\n"},
          {"AC/type", "Mains\n"},
          {"AC/online", "0\n"},
          {"usb/type", "USB_C\n"},
          {"usb/online", "0\n"}},
         1,
         3,
         ""},
        {{{"mouse/type", "Battery\n"}, {"mouse/scope", "Device\n"}, {"mouse/status", "Discharging\n"}},
         0,
         0,
         "no battery in"},
        {{{"ups/type", "UPS\n"}, {"ups/status", "Discharging\n"}}, 0, 0, "no battery in"},
        {{{"BAT0/type", "Battery\n"}, {"BAT0/power_now", "3000000\n"}}, 0, 0, "the battery tells no status"},
        {{{"BAT0/type", "Battery\n"}, {"BAT0/status", "Discharging\n"}},
         0,
         0,
         "the battery tells neither its power nor what is left"},
        {{{NULL, NULL}}, 0, 0, "no battery in"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128];
        struct me_meter meter;
        struct me_error err;
        struct me_reading readings[2];
        tree_make(root, sizeof root);
        put_files(root, cases[i].files, 12);
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "battery"}, &err), 0);
        assert_int_equal(meter.channel_count, cases[i].channels);
        assert_int_equal(meter.sources[0].found, cases[i].channels > 0);
        assert_memory_equal(meter.sources[0].reason, cases[i].reason, strlen(cases[i].reason));
        bool curable = !strncmp(cases[i].reason, "only while", 10);
        assert_string_equal(meter.sources[0].cure, curable ? "unplug the machine" : "");
        if (cases[i].watts > 0) {
            me_meter_read_source(&meter, 0, readings);
            assert_int_equal(readings[0].state, ME_READING_OK);
            assert_float_equal(readings[0].level, cases[i].watts, 1e-9);
            assert_true(meter.channels[0].counted);
            assert_int_equal(meter.channels[0].scope, ME_SCOPE_PLATFORM);
            assert_float_equal(meter.sources[0].interval_s, 1, 0);
        }
        me_meter_close(&meter);
        tree_remove(root);
    }
}

/* The status is asked at every reading: plugged in, there is no reading and no number. */
static void test_plugging(void **state)
{
    (void)state;
    static const struct {
        const char *path, *text;
        enum me_reading_state state;
        int error;
        double watts;
    } steps[] = {
        {"BAT0/power_now", "5000000\n", ME_READING_OK, 0, 5},
        {"BAT0/power_now", "0\n", ME_READING_FAILED, ENODATA, 0},
        {"BAT0/power_now", "x\n", ME_READING_FAILED, EINVAL, 0},
        {"BAT0/power_now", "6000000\n", ME_READING_OK, 0, 6},
        {"BAT0/status", "\n", ME_READING_FAILED, EINVAL, 0},
        {"BAT0/status", "Discharging\n", ME_READING_OK, 0, 6},
        {"BAT0/status", "Charging\n", ME_READING_ABSENT, 0, 0},
        {"BAT0/power_now", "40000000\n", ME_READING_ABSENT, 0, 0},
        {"BAT0/status", "Full\n", ME_READING_ABSENT, 0, 0},
        {"BAT0/status", "Discharging\n", ME_READING_ABSENT, 0, 0}, /* not believed at once */
        {"AC/online", "1\n", ME_READING_ABSENT, 0, 0},
        {"AC/online", "0\n", ME_READING_ABSENT, 0, 0},
    };
    char root[128];
    struct me_meter meter;
    struct me_error err;
    tree_make(root, sizeof root);
    put_files(root,
              (const struct file[]){{"BAT0/type", "Battery\n"},
                                    {"BAT0/status", "Discharging\n"},
                                    {"BAT0/power_now", "4000000\n"},
                                    {"AC/type", "Mains\n"},
                                    {"AC/online", "0\n"}},
              5);
    assert_int_equal(me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "battery"}, &err),
                     0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct me_reading reading;
        put_files(root, &(const struct file){steps[i].path, steps[i].text}, 1);
        me_meter_read_source(&meter, 0, &reading);
        assert_int_equal(reading.state, steps[i].state);
        assert_int_equal(reading.error, steps[i].error);
        if (steps[i].state == ME_READING_OK) assert_float_equal(reading.level, steps[i].watts, 1e-9);
    }
    me_meter_close(&meter);
    tree_remove(root);
}

/* What is left, as energy that was used: 1 mWh = 3.6 J; and by charge x voltage. Never counted. */
static void test_used(void **state)
{
    (void)state;
    static const struct {
        const char *file, *texts[3];
        uint64_t used_uj[3];
    } cases[] = {
        {"BAT0/energy_now", {"36580000\n", "36570000\n", "36500000\n"}, {0, 36000000, 288000000}},
        {"BAT0/charge_now", {"4723000\n", "4722000\n", "4712000\n"}, {0, 45360000, 498960000}},
        {"BAT0/energy_now",
         {"36570000\n", "36580000\n", "36570000\n"},
         {0, 0, 36000000}}, /* it corrects itself */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[128];
        struct me_meter meter;
        struct me_error err;
        tree_make(root, sizeof root);
        put_files(root,
                  (const struct file[]){{"BAT0/type", "Battery\n"},
                                        {"BAT0/status", "Discharging\n"},
                                        {"BAT0/voltage_now", "12600000\n"},
                                        {cases[i].file, cases[i].texts[0]}},
                  4);
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "battery"}, &err), 0);
        assert_int_equal(meter.channel_count, 1);
        assert_false(meter.channels[0].counted);
        assert_int_equal(meter.channels[0].kind, ME_KIND_COUNTER);
        assert_int_equal(meter.channels[0].cls, ME_CLASS_INTEGRATED);
        for (size_t k = 0; k < 3; k++) {
            struct me_reading reading;
            put_files(root, &(const struct file){cases[i].file, cases[i].texts[k]}, 1);
            me_meter_read_source(&meter, 0, &reading);
            assert_int_equal(reading.state, ME_READING_OK);
            assert_int_equal(reading.count, cases[i].used_uj[k]);
        }
        me_meter_close(&meter);
        tree_remove(root);
    }
}

/* A serial number, a maker, a name: nothing of a battery's identity is in what the source says. */
static void test_private(void **state)
{
    (void)state;
    static const char *const states[] = {"Discharging\n", "Full\n", "\n"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        char root[128];
        struct me_meter meter;
        struct me_error err;
        tree_make(root, sizeof root);
        put_files(root,
                  (const struct file[]){{"SECRET7/type", "Battery\n"},
                                        {"SECRET7/status", states[i]},
                                        {"SECRET7/power_now", "4000000\n"},
                                        {"SECRET7/energy_now", "4000000\n"},
                                        {"SECRET7/serial_number", "SECRET7\n"},
                                        {"SECRET7/model_name", "SECRET7\n"}},
                  6);
        assert_int_equal(
            me_meter_open(&meter, &(struct me_meter_options){.root = root, .only = "battery"}, &err), 0);
        assert_null(strstr(meter.sources[0].reason, "SECRET7"));
        assert_null(strstr(meter.sources[0].cure, "SECRET7"));
        for (size_t c = 0; c < meter.channel_count; c++) {
            assert_null(strstr(meter.channels[c].name, "SECRET7"));
            assert_null(strstr(meter.channels[c].why_not, "SECRET7"));
            assert_null(strstr(meter.channels[c].basis, "SECRET7"));
        }
        me_meter_close(&meter);
        tree_remove(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_machines), cmocka_unit_test(test_plugging),
        cmocka_unit_test(test_used),    cmocka_unit_test(test_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
