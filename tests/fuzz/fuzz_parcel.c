/* The bytes of a parcel, as a machine gets them: whatever they are, names stay in the folder. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../../src/workload/parcel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct me_parcel_reader reader;
    struct me_parcel_entry entry;
    volatile char last = 0;
    if (me_parcel_open(&reader, data, size)) return 0;
    while (!me_parcel_next(&reader, &entry)) {
        if (entry.type == 'e') break;
        if (!me_parcel_is_name(entry.name, entry.name_len) || entry.name[0] == '/') abort();
        for (uint64_t i = 0; i < entry.size; i++) last = entry.content[i];
    }
    (void)last;
    return 0;
}
