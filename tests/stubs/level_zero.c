/* libze_loader.so.1 as far as it is needed, for tests. Keys of ME_STUB_LEVEL_ZERO: gpus, power, energy,
 * tick, model, tiles, integrated (0, 1), card (1, 0: the call for the card's domain is not supported),
 * domains (all; package: no card domain; tiles: only those of tiles), init. A card's domain has the
 * power; its package's shows a half of it, a tile's a quarter. */
#include "stub.h"

#define ENV         "ME_STUB_LEVEL_ZERO"
#define UNSUPPORTED 0x78000003

enum { CARD = 1, PACKAGE, TILE };

struct device {
    int stype;
    void *next;
    struct {
        int stype;
        void *next;
        int type;
        uint32_t vendor, id, flags, other[2];
        uint64_t alloc;
        uint32_t more[7];
        uint64_t resolution;
        uint32_t bits[2];
        uint8_t uuid[16];
        char name[256];
    } core;
    uint32_t tiles;
    char texts[6][64];
};
struct pci {
    int stype;
    void *next;
    uint32_t domain, bus, device, function;
};
struct ext {
    int stype;
    void *next;
    int domain;
    void *limit;
};
struct power {
    int stype;
    struct ext *next;
    uint8_t on_subdevice;
};
struct energy {
    uint64_t uj, time_us;
};

static unsigned index_of(void *handle)
{
    return (unsigned)((uintptr_t)handle & 0xff);
}

static void *domain_of(void *device, unsigned domain)
{
    return (void *)(uintptr_t)(0x1000 * domain + index_of(device));
}

STUB_API int zesInit(uint32_t flags)
{
    stub_start(ENV);
    return flags ? UNSUPPORTED : (int)stub_number(ENV, "init", 0, 0);
}

STUB_API int zesDriverGet(uint32_t *count, void **drivers)
{
    if (drivers) drivers[0] = (void *)(uintptr_t)0x10;
    *count = 1;
    return 0;
}

STUB_API int zesDeviceGet(void *driver, uint32_t *count, void **devices)
{
    uint32_t n = (uint32_t)stub_number(ENV, "gpus", 0, 1);
    if (driver != (void *)(uintptr_t)0x10) return UNSUPPORTED;
    if (devices && *count < n) n = *count;
    for (uint32_t i = 0; devices && i < n; i++) devices[i] = (void *)(uintptr_t)(0x100 + i);
    *count = n;
    return 0;
}

STUB_API int zesDeviceGetProperties(void *handle, struct device *device)
{
    if (device->stype != 1) return UNSUPPORTED;
    device->core.type = 1;
    device->core.flags = stub_number(ENV, "integrated", index_of(handle), 0) > 0;
    device->tiles = (uint32_t)stub_number(ENV, "tiles", index_of(handle), 0);
    stub_word(ENV, "model", index_of(handle), "Stub Max 1550", device->core.name, sizeof device->core.name);
    return 0;
}

STUB_API int zesDevicePciGetProperties(void *handle, struct pci *pci)
{
    pci->domain = 0xfade;
    pci->bus = 0xc0 + index_of(handle);
    return 0;
}

STUB_API int zesDeviceGetCardPowerDomain(void *device, void **domain)
{
    if (stub_number(ENV, "card", index_of(device), 1) < 1) return UNSUPPORTED;
    *domain = domain_of(device, CARD);
    return 0;
}

STUB_API int zesDeviceEnumPowerDomains(void *device, uint32_t *count, void **domains)
{
    void *all[3] = {domain_of(device, TILE), domain_of(device, PACKAGE), domain_of(device, CARD)};
    uint32_t n = stub_is(ENV, "domains", 0, "all", "tiles")     ? 1
                 : stub_is(ENV, "domains", 0, "all", "package") ? 2
                                                                : 3;
    if (domains && *count < n) n = *count;
    if (domains) memcpy(domains, all, n * sizeof *all);
    *count = n;
    return 0;
}

STUB_API int zesPowerGetProperties(void *domain, struct power *power)
{
    unsigned kind = (unsigned)((uintptr_t)domain / 0x1000);
    if (power->stype != 0xd) return UNSUPPORTED;
    power->on_subdevice = kind == TILE;
    if (power->next && power->next->stype == 0x28) power->next->domain = kind == TILE ? 2 : (int)kind;
    return 0;
}

STUB_API int zesPowerGetEnergyCounter(void *domain, struct energy *energy)
{
    unsigned kind = (unsigned)((uintptr_t)domain / 0x1000);
    double share = kind == CARD ? 1 : kind == PACKAGE ? 0.5 : 0.25;
    energy->uj = (uint64_t)(stub_energy_j(ENV, index_of(domain)) * share * 1e6);
    energy->time_us = (uint64_t)(stub_now_s() * 1e6);
    return 0;
}
