/* librocm_smi64.so.1 as far as it is needed, for tests. Keys of ME_STUB_ROCM_SMI: gpus, power, energy
 * (yes, no, still, zero), tick, model, init. A GPU with energy=zero, the second die of a module, has
 * no power either. */
#include "stub.h"

#define ENV "ME_STUB_ROCM_SMI"

STUB_API int rsmi_init(uint64_t flags)
{
    stub_start(ENV);
    return flags ? 1 : (int)stub_number(ENV, "init", 0, 0);
}

STUB_API int rsmi_shut_down(void)
{
    return 0;
}

STUB_API int rsmi_num_monitor_devices(uint32_t *count)
{
    *count = (uint32_t)stub_number(ENV, "gpus", 0, 1);
    return 0;
}

STUB_API int rsmi_dev_pci_id_get(uint32_t index, uint64_t *bdf)
{
    *bdf = UINT64_C(0xfade) << 32 | UINT64_C(3) << 28 | (uint64_t)(0xc1 + index * 5) << 8;
    return 0;
}

STUB_API int rsmi_dev_name_get(uint32_t index, char *name, size_t size)
{
    stub_word(ENV, "model", index, "Stub MI100", name, size);
    return 0;
}

STUB_API int rsmi_dev_energy_count_get(uint32_t index, uint64_t *count, float *resolution, uint64_t *time_ns)
{
    if (stub_is(ENV, "energy", index, "yes", "no")) return 2;
    *count = (uint64_t)(stub_energy_j(ENV, index) * 65536);
    *resolution = 15.3F;
    *time_ns = (uint64_t)(stub_now_s() * 1e9);
    return 0;
}

STUB_API int rsmi_dev_power_ave_get(uint32_t index, uint32_t sensor, uint64_t *uw)
{
    if (sensor) return 2;
    *uw = stub_is(ENV, "energy", index, "yes", "zero") ? 0 : (uint64_t)(stub_power_w(ENV, index) * 1e6 + 0.5);
    return 0;
}
