/* libamd_smi.so as far as it is needed, for tests. Keys of ME_STUB_AMDSMI: gpus, power, energy (yes, no,
 * still, zero, mirror: of the GPU before it), tick, model, init. Each GPU is a socket. */
#include "stub.h"

#define ENV "ME_STUB_AMDSMI"

static unsigned gpus(void)
{
    return (unsigned)stub_number(ENV, "gpus", 0, 1);
}

static unsigned index_of(void *handle)
{
    return (unsigned)((uintptr_t)handle & 0xff);
}

STUB_API int amdsmi_init(uint64_t flags)
{
    stub_start(ENV);
    return flags == 2 ? (int)stub_number(ENV, "init", 0, 0) : 1;
}

STUB_API int amdsmi_shut_down(void)
{
    return 0;
}

STUB_API int amdsmi_get_socket_handles(uint32_t *count, void **sockets)
{
    uint32_t n = sockets && *count < gpus() ? *count : gpus();
    for (uint32_t i = 0; sockets && i < n; i++) sockets[i] = (void *)(uintptr_t)(0x100 + i);
    *count = n;
    return 0;
}

STUB_API int amdsmi_get_processor_handles(void *socket, uint32_t *count, void **processors)
{
    if (processors && *count) processors[0] = (void *)(uintptr_t)(0x200 + index_of(socket));
    *count = 1;
    return 0;
}

STUB_API int amdsmi_get_gpu_device_bdf(void *processor, uint64_t *bdf)
{
    *bdf = UINT64_C(0xfade) << 16 | (uint64_t)(0xc1 + index_of(processor) * 5) << 8;
    return 0;
}

STUB_API int amdsmi_get_gpu_asic_info(void *processor, char *info)
{
    stub_word(ENV, "model", index_of(processor), "Stub MI250X", info, 256);
    return 0;
}

STUB_API int amdsmi_get_energy_count(void *processor, uint64_t *count, float *resolution, uint64_t *time_ns)
{
    unsigned gpu = index_of(processor);
    if (stub_is(ENV, "energy", gpu, "yes", "no")) return 2;
    if (gpu && stub_is(ENV, "energy", gpu, "yes", "mirror")) gpu--;
    *count = (uint64_t)(stub_energy_j(ENV, gpu) * 65536);
    *resolution = 15.3F;
    *time_ns = (uint64_t)(stub_now_s() * 1e9);
    return 0;
}
