#include "rapl.h"

enum {
    INTEL_UNIT = 0x606,
    AMD_UNIT = 0xC0010299 - 0xC0000000, /* an enum holds an int; see amd() */
    AMD_PACKAGE = 0xC001029B - 0xC0000000,
};
static const uint32_t intel_registers[ME_RAPL_DOMAINS] = {0x611, 0x619, 0x639, 0x641, 0x64d};

enum quirk {
    STANDARD,  /* every unit is 2^-ESU J, ESU the bits 12:8 of the unit register */
    DRAM_16,   /* that of dram is 2^-16 J, 15.3 uJ, whatever the register says */
    PSYS_1J,   /* that of psys is 1 J */
    MICRO_ESU, /* every unit is 2^ESU uJ */
};

#define PKG    (1u << ME_RAPL_PACKAGE)
#define RAM    (1u << ME_RAPL_DRAM)
#define CORES  (1u << ME_RAPL_CORE)
#define GPU    (1u << ME_RAPL_UNCORE)
#define PSYS   (1u << ME_RAPL_PSYS)
#define CLIENT (PKG | RAM | CORES | GPU | PSYS)

/* Intel, family 6. A domain named here may still be missing in a given processor: its register then
 * cannot be read, or stays 0. Dram of Sapphire Rapids has the standard unit: Linux "perf/x86/rapl: Use
 * standard Energy Unit for SPR Dram RAPL domain" took back what was thought before. */
static const struct model {
    uint8_t model;
    uint8_t domains;
    uint8_t quirk;
} models[] = {
    {0x2a, PKG | CORES | GPU, STANDARD},       /* Sandy Bridge */
    {0x2d, PKG | CORES | RAM, STANDARD},       /* Sandy Bridge-EP */
    {0x3a, PKG | CORES | GPU, STANDARD},       /* Ivy Bridge */
    {0x3e, PKG | CORES | RAM, STANDARD},       /* Ivy Bridge-EP, -EX */
    {0x3c, PKG | CORES | RAM | GPU, STANDARD}, /* Haswell */
    {0x45, PKG | CORES | RAM | GPU, STANDARD}, /* Haswell-ULT */
    {0x46, PKG | CORES | RAM | GPU, STANDARD}, /* Haswell with GT3e */
    {0x3f, PKG | CORES | RAM, DRAM_16},        /* Haswell-EP, -EX */
    {0x3d, PKG | CORES | RAM | GPU, STANDARD}, /* Broadwell */
    {0x47, PKG | CORES | RAM | GPU, STANDARD}, /* Broadwell with GT3e */
    {0x4f, PKG | CORES | RAM, DRAM_16},        /* Broadwell-EP, -EX */
    {0x56, PKG | CORES | RAM, DRAM_16},        /* Broadwell-DE */
    {0x4e, CLIENT, STANDARD},                  /* Skylake, mobile */
    {0x5e, CLIENT, STANDARD},                  /* Skylake */
    {0x55, PKG | CORES | RAM, DRAM_16},        /* Skylake-SP, Cascade Lake, Cooper Lake */
    {0x57, PKG | RAM, DRAM_16},                /* Knights Landing */
    {0x85, PKG | RAM, DRAM_16},                /* Knights Mill */
    {0x8e, CLIENT, STANDARD},                  /* Kaby Lake to Comet Lake, mobile */
    {0x9e, CLIENT, STANDARD},                  /* Kaby Lake, Coffee Lake */
    {0x66, CLIENT, STANDARD},                  /* Cannon Lake */
    {0x6a, PKG | CORES | RAM, DRAM_16},        /* Ice Lake-SP */
    {0x6c, PKG | CORES | RAM, DRAM_16},        /* Ice Lake-D */
    {0x7d, CLIENT, STANDARD},                  /* Ice Lake */
    {0x7e, CLIENT, STANDARD},                  /* Ice Lake, mobile */
    {0xa5, CLIENT, STANDARD},                  /* Comet Lake */
    {0xa6, CLIENT, STANDARD},                  /* Comet Lake, mobile */
    {0x8c, CLIENT, STANDARD},                  /* Tiger Lake, mobile */
    {0x8d, CLIENT, STANDARD},                  /* Tiger Lake */
    {0xa7, CLIENT, STANDARD},                  /* Rocket Lake */
    {0x97, CLIENT, STANDARD},                  /* Alder Lake */
    {0x9a, CLIENT, STANDARD},                  /* Alder Lake, mobile */
    {0xbe, CLIENT, STANDARD},                  /* Alder Lake-N */
    {0xb7, CLIENT, STANDARD},                  /* Raptor Lake */
    {0xba, CLIENT, STANDARD},                  /* Raptor Lake-P */
    {0xbf, CLIENT, STANDARD},                  /* Raptor Lake-S */
    {0xaa, CLIENT, STANDARD},                  /* Meteor Lake, mobile */
    {0xac, CLIENT, STANDARD},                  /* Meteor Lake */
    {0xc5, CLIENT, STANDARD},                  /* Arrow Lake-H */
    {0xc6, CLIENT, STANDARD},                  /* Arrow Lake */
    {0xbd, CLIENT, STANDARD},                  /* Lunar Lake */
    {0x8f, PKG | CORES | RAM | PSYS, PSYS_1J}, /* Sapphire Rapids */
    {0xcf, PKG | CORES | RAM | PSYS, PSYS_1J}, /* Emerald Rapids */
    {0x5c, PKG | CORES | RAM | GPU, STANDARD}, /* Goldmont: Apollo Lake */
    {0x5f, PKG | CORES | RAM | GPU, STANDARD}, /* Goldmont: Denverton */
    {0x7a, PKG | CORES | RAM | GPU, STANDARD}, /* Goldmont Plus: Gemini Lake */
    {0x86, PKG | CORES | RAM, STANDARD},       /* Tremont: Jacobsville */
    {0x96, PKG | CORES | RAM | GPU, STANDARD}, /* Tremont: Elkhart Lake */
    {0x9c, PKG | CORES | RAM | GPU, STANDARD}, /* Tremont: Jasper Lake */
    {0x37, PKG | CORES, MICRO_ESU},            /* Silvermont: Bay Trail */
    {0x4a, PKG | CORES, MICRO_ESU},            /* Silvermont: Merrifield */
    {0x5a, PKG | CORES, MICRO_ESU},            /* Silvermont: Moorefield */
    {0x4c, PKG | CORES, MICRO_ESU},            /* Airmont: Cherry Trail, Braswell */
};

static const struct model *find_model(const struct me_rapl_cpu *cpu)
{
    for (size_t i = 0; cpu->family == 6 && i < sizeof models / sizeof *models; i++)
        if (models[i].model == cpu->model) return &models[i];
    return NULL;
}

/* Atoms before Goldmont are not all alike, and Linux and the manual disagree about Avoton (0x4d). */
static bool is_doubtful_atom(const struct me_rapl_cpu *cpu)
{
    return cpu->family == 6 && (cpu->model == 0x4d || cpu->model == 0x5d || cpu->model == 0x75);
}

/* Family 6 before Sandy Bridge, and families before it, have no RAPL. */
static bool is_intel_with_rapl(const struct me_rapl_cpu *cpu)
{
    if (!me_rapl_is_intel(cpu)) return false;
    return cpu->family == 6 ? cpu->model >= 0x2a && cpu->model != 0x2c && cpu->model != 0x2e &&
                                  cpu->model != 0x2f && cpu->model != 0x35 && cpu->model != 0x36
                            : cpu->family > 15;
}

static uint32_t amd(int offset)
{
    return UINT32_C(0xC0000000) + (uint32_t)offset;
}

uint32_t me_rapl_unit_address(const struct me_rapl_cpu *cpu)
{
    if (is_intel_with_rapl(cpu)) return INTEL_UNIT;
    return me_rapl_is_amd(cpu) && cpu->family >= 0x17 ? amd(AMD_UNIT) : 0;
}

bool me_rapl_is_known(const struct me_rapl_cpu *cpu)
{
    if (me_rapl_is_amd(cpu)) return cpu->family >= 0x17 && cpu->family <= 0x1a;
    return me_rapl_is_intel(cpu) && find_model(cpu);
}

/* A core's counter of AMD (0xC001029A) is left out: there is one a core, each reading interrupts that
 * core, and the package's counter has it all. */
static struct me_rapl_register amd_register(enum me_rapl_domain domain, struct me_rapl_unit unit)
{
    struct me_rapl_register found = {.unit = unit};
    if (domain == ME_RAPL_PACKAGE) found.address = amd(AMD_PACKAGE);
    return found;
}

struct me_rapl_register me_rapl_register(const struct me_rapl_cpu *cpu, enum me_rapl_domain domain,
                                         uint64_t units)
{
    unsigned esu = units >> 8 & 0x1f;
    const struct model *model = find_model(cpu);
    struct me_rapl_register found = {.address = intel_registers[domain],
                                     .unit = {.mul = 1000000, .shift = esu}};
    if (!me_rapl_unit_address(cpu)) return (struct me_rapl_register){0};
    if (me_rapl_is_amd(cpu)) return amd_register(domain, found.unit);
    if (!model) { /* the package has had the same register and unit in all others since Sandy Bridge */
        bool agreed = domain != ME_RAPL_DRAM && domain != ME_RAPL_PSYS && !is_doubtful_atom(cpu);
        if (!agreed) found.unknown = "its unit is not known for this processor model";
        return found;
    }
    if (!(model->domains & 1u << domain)) found.address = 0;
    if (model->quirk == DRAM_16 && domain == ME_RAPL_DRAM) found.unit.shift = 16;
    if (model->quirk == PSYS_1J && domain == ME_RAPL_PSYS) found.unit.shift = 0;
    if (model->quirk == MICRO_ESU) found.unit = (struct me_rapl_unit){.mul = UINT32_C(1) << esu};
    return found;
}

uint64_t me_rapl_uj(struct me_rapl_unit unit, uint64_t raw)
{
    return (raw & UINT32_MAX) * unit.mul >> unit.shift;
}

uint64_t me_rapl_range_uj(struct me_rapl_unit unit)
{
    return (uint64_t)unit.mul << (32 - unit.shift);
}
