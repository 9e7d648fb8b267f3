/* The tables as they stand in the files beside this one: NAME and NAME_end bracket each text. */
#if defined(__linux__) && defined(__ELF__)
.section .note.GNU-stack, "", %progbits
#endif

#define ME_TABLE(name, file)      \
    .global me_data_##name;       \
    .hidden me_data_##name;       \
    .global me_data_##name##_end; \
    .hidden me_data_##name##_end; \
    .balign 16;                   \
    me_data_##name:               \
    .incbin file;                 \
    me_data_##name##_end:         \
    .byte 0

.section .rodata
ME_TABLE(cloud_regions, "cloud_regions.csv")
ME_TABLE(countries, "countries.csv")
ME_TABLE(cpu_families, "cpu_families.csv")
ME_TABLE(cpu_tdp, "cpu_tdp.csv")
ME_TABLE(electricitymaps_zones, "electricitymaps_zones.csv")
ME_TABLE(power_families, "power_families.csv")
ME_TABLE(power_intervals, "power_intervals.csv")
ME_TABLE(power_packages, "power_packages.csv")
ME_TABLE(power_terms, "power_terms.csv")
ME_TABLE(subnational, "subnational.csv")
