/* What the sources of GPUs work with: lists of visible GPUs, units, the kernel's compute nodes, the loader. */
#include "me_cmocka.h"

#include "../../src/source/library.h"
#include "../../src/source/levelzero.h"
#include "../../src/source/nvml.h"
#include "../../src/source/rocm.h"
#include "me/clock.h"
#include "tree.h"
#include <errno.h>
#include <stdatomic.h>

static void test_list(void **state)
{
    (void)state;
    static const struct me_gpu gpus[] = {
        {.uuid = "GPU-1111aaaa"}, {.uuid = "GPU-1111bbbb"}, {.uuid = "GPU-2222cccc"}};
    static const size_t named[] = {2, 0, 1};
    static const struct {
        const char *words, *out;
        bool unsure, by_number;
    } cases[] = {
        {"0", "2", false, true},
        {"2,1", "10", false, true},
        {" 0 , 1", "20", false, true},
        {"0,0,1", "20", false, true},
        {"", "", false, false},
        {"3,0", "", false, false},
        {"0,x,1", "2", false, true},
        {"-1", "", false, false},
        {"99999999999999999999", "", false, false},
        {"GPU-1111", "", false, false}, /* two fit */
        {"GPU-1111b,0", "12", false, true},
        {"MIG-GPU-2222cccc/7/0", "2", false, false},
        {"MIG-abc,1", "0", true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t out[3];
        bool unsure, by_number;
        char text[4] = "";
        size_t n = me_gpu_list(cases[i].words, gpus, named, 3, out, &unsure, &by_number);
        for (size_t k = 0; k < n; k++) text[k] = (char)('0' + out[k]);
        assert_string_equal(text, cases[i].out);
        assert_int_equal(unsure, cases[i].unsure);
        assert_int_equal(by_number, cases[i].by_number);
    }
}

static void test_rocm_unit(void **state)
{
    (void)state;
    static const struct {
        uint64_t count;
        float resolution;
        uint64_t uj;
        int error;
    } cases[] = {
        {0, 15.3F, 0, 0},
        {65536, 15.3F, 1000000, 0},   /* rounded by the library: 2^-16 J */
        {65536, 15.259F, 1000000, 0}, /* the same */
        {65536, 15.2587890625F, 1000000, 0},
        {UINT64_C(340755234), 15.3F, UINT64_C(5199512237), 0},
        {3, 0.5F, 1, 0},
        {1000, 1.0F, 1000, 0},
        {UINT64_C(1) << 60, 1.0F, UINT64_C(1) << 60, 0}, /* a double would do; a float would not */
        {(UINT64_C(1) << 60) + 1, 1.0F, (UINT64_C(1) << 60) + 1, 0},
        {UINT64_C(1) << 62, 15.3F, 0, ERANGE},
        {UINT64_MAX, 1.0F, 0, ERANGE}, /* the value of a field that is not there */
        {5, 0.0F, 0, ERANGE},
        {5, -1.0F, 0, ERANGE},
        {5, 1.0F / 0.0F, 0, ERANGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t uj = 0;
        assert_int_equal(me_rocm_energy_uj(cases[i].count, cases[i].resolution, &uj), cases[i].error);
        assert_true(uj == cases[i].uj);
    }
}

static void put_node(const char *root, int number, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "sys/class/kfd/kfd/topology/nodes/%d/properties", number);
    tree_put(root, path, text);
}

static void test_rocm_nodes(void **state)
{
    (void)state;
    char dir[128];
    struct me_root root;
    struct me_rocm_node *nodes = NULL;
    size_t count = 9;
    tree_make(dir, sizeof dir);
    assert_int_equal(me_root_open(&root, dir, NULL), 0);
    assert_int_equal(me_rocm_nodes(&root, &nodes, &count), 0);
    assert_int_equal(count, 0);
    put_node(dir, 0, "cpu_cores_count 64\nsimd_count 0\nlocation_id 0\ndomain 0\n");
    put_node(dir, 1,
             "cpu_cores_count 0\nsimd_count 440\nvendor_id 4098\nlocation_id 49408\ndomain 0\n"
             "unique_id 1311768467463790320\n");
    put_node(dir, 2, ""); /* closed to this job */
    put_node(dir, 3, "simd_count 440\nlocation_id 2147534376\ndomain 1\nunique_id 0\n");
    assert_int_equal(me_rocm_nodes(&root, &nodes, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(nodes[0].device, "0000:c1:00.0");
    assert_string_equal(nodes[0].uuid, "GPU-123456789abcdef0");
    assert_string_equal(nodes[1].device, "0001:c6:05.0"); /* a partition's number at the top is not the bus */
    assert_string_equal(nodes[1].uuid, "");
    free(nodes);
    me_root_close(&root);
    tree_remove(dir);
}

static void put_bytes(const char *root, const char *path, const char *bytes, size_t n)
{
    char full[256];
    tree_put(root, path, "");
    snprintf(full, sizeof full, "%s/%s", root, path);
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* Bus, parts of processors, and the driver that a stub lacks. */
static void test_bus(void **state)
{
    (void)state;
    static const char *const driver[] = {"sys/module/amdgpu", NULL};
    char dir[128], device[24] = "";
    struct me_root root;
    tree_make(dir, sizeof dir);
    assert_int_equal(me_root_open(&root, dir, NULL), 0);
    assert_false(me_gpu_on_bus(&root, "0x1002", NULL, device, sizeof device));
    assert_true(me_gpu_is_on_bus(&root, "0000:c1:00.0")); /* no bus is shown: nothing speaks against it */
    tree_put(dir, "sys/bus/pci/devices/0000:00:01.0/vendor", "0x1002\n");
    tree_put(dir, "sys/bus/pci/devices/0000:00:01.0/class", "0x060400\n"); /* a bridge */
    assert_false(me_gpu_on_bus(&root, "0x1002", NULL, device, sizeof device));
    assert_false(me_gpu_is_on_bus(&root, "0000:c1:00.0"));
    tree_put(dir, "sys/bus/pci/devices/0000:c1:00.0/vendor", "0x1002\n");
    tree_put(dir, "sys/bus/pci/devices/0000:c1:00.0/class", "0x038000\n");
    tree_put(dir, "sys/bus/pci/devices/0000:c1:00.0/device", "0x74a0\n");
    put_bytes(dir, "sys/bus/pci/devices/0000:c1:00.0/gpu_metrics", "\xa8\0\2\3", 4);
    assert_true(me_gpu_on_bus(&root, "0x1002", NULL, device, sizeof device));
    assert_string_equal(device, "0000:c1:00.0");
    assert_true(me_gpu_is_on_bus(&root, device));
    assert_true(me_rocm_is_apu(&root, device));
    assert_true(me_rocm_is_socket(&root, device));
    assert_false(me_gpu_on_bus(&root, "0x1002", me_rocm_is_apu, device, sizeof device));
    put_bytes(dir, "sys/bus/pci/devices/0000:c1:00.0/gpu_metrics", "\xa8\0\1\3", 4);
    assert_false(me_rocm_is_apu(&root, device));
    assert_false(me_rocm_is_apu(&root, "0000:99:00.0"));
    tree_put(dir, "sys/module/amdgpu/version", "1");
    assert_false(me_gpu_driver_is_live(&root, driver)); /* there, but in plain files */
    me_root_close(&root);
    tree_remove(dir);
}

static void test_errnos(void **state)
{
    (void)state;
    assert_int_equal(me_nvml_errno(0), 0);
    assert_int_equal(me_nvml_errno(3), EOPNOTSUPP);
    assert_int_equal(me_nvml_errno(15), ENODEV);
    assert_int_equal(me_nvml_errno(999), EIO);
    assert_int_equal(me_zes_errno(0), 0);
    assert_int_equal(me_zes_errno(0x70000001), ENODEV);
    assert_int_equal(me_zes_errno(0x78000003), EOPNOTSUPP);
    assert_int_equal(me_zes_errno(0x7ffffffe), EIO);
}

/* The layouts of the vendors' headers on 64-bit Linux. */
static void test_layouts(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct me_nvml_pci), 68);
    assert_int_equal(offsetof(struct me_nvml_pci, domain), 16);
    assert_int_equal(sizeof(struct me_nvml_field), 40);
    assert_int_equal(offsetof(struct me_nvml_field, type), 24);
    assert_int_equal(offsetof(struct me_nvml_field, value), 32);
    assert_int_equal(sizeof(struct me_zes_device), 776);
    assert_int_equal(sizeof(struct me_zes_power), 40);
    assert_int_equal(sizeof(struct me_zes_pci), 56);
    assert_int_equal(sizeof(struct me_zes_energy), 16);
}

struct functions {
    double (*cosine)(double);
    void *none;
};

static void test_library(void **state)
{
    (void)state;
    static const struct me_symbol good[] = {ME_SYMBOL(struct functions, cosine, "cos"),
                                            ME_SYMBOL_OPTIONAL(struct functions, none, "no_such_function"),
                                            {0}};
    static const struct me_symbol bad[] = {ME_SYMBOL(struct functions, cosine, "cos"),
                                           ME_SYMBOL(struct functions, none, "no_such_function"),
                                           {0}};
    static const char *const names[] = {"libme-no-such-library.so.9", "libm.so.6", NULL};
    static const char *const none[] = {"libme-no-such-library.so.9", NULL};
    struct me_library library = {0};
    struct functions functions = {0};
    char text[256] = "";
    assert_int_equal(me_library_open(&library, none, good, &functions, text, sizeof text), ME_LIBRARY_ABSENT);
    assert_string_equal(text, "");
    assert_int_equal(me_library_open(&library, names, bad, &functions, text, sizeof text),
                     ME_LIBRARY_UNUSABLE);
    assert_non_null(strstr(text, "no_such_function"));
    assert_null(library.handle);
    assert_null(functions.cosine); /* all or nothing */
    assert_int_equal(me_library_open(&library, names, good, &functions, text, sizeof text), ME_LIBRARY_OPEN);
    assert_string_equal(library.name, "libm.so.6");
    assert_true(functions.cosine(0) == 1);
    assert_null(functions.none);
    me_library_close(&library);
    me_library_close(&library);
    me_library_close(NULL);
}

/* A file that is there and is no library is not "absent". */
static void test_broken_library(void **state)
{
    (void)state;
    static const struct me_symbol symbols[] = {{0}};
    char dir[128], path[160], text[256] = "";
    struct me_library library = {0};
    tree_make(dir, sizeof dir);
    tree_put(dir, "libbroken.so.1", "not a library");
    snprintf(path, sizeof path, "%s/libbroken.so.1", dir);
    const char *names[] = {path, NULL};
    assert_int_equal(me_library_open(&library, names, symbols, &library, text, sizeof text),
                     ME_LIBRARY_UNUSABLE);
    assert_non_null(strstr(text, "libbroken"));
    tree_remove(dir);
}

struct gate {
    atomic_bool open, passed;
};

static void pass(void *arg)
{
    struct gate *gate = arg;
    while (!gate->open) me_clock_sleep_until(me_clock_mono_ns() + 1000000);
    gate->passed = true;
}

/* A library that hangs does not hang the program. */
static void test_run_is_bounded(void **state)
{
    (void)state;
    static struct gate shut, ajar = {.open = true};
    assert_int_equal(me_library_run(pass, &ajar, 30), 0);
    assert_true(ajar.passed);
    assert_int_equal(me_library_run(pass, &shut, 0.05), -1);
    assert_false(shut.passed);
    shut.open = true;
    for (int i = 0; i < 5000 && !shut.passed; i++) me_clock_sleep_until(me_clock_mono_ns() + 1000000);
    assert_true(shut.passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),           cmocka_unit_test(test_rocm_unit),
        cmocka_unit_test(test_rocm_nodes),     cmocka_unit_test(test_bus),
        cmocka_unit_test(test_errnos),         cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_library),        cmocka_unit_test(test_broken_library),
        cmocka_unit_test(test_run_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
