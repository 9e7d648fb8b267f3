/* Any bytes as a message of rows: decoded, and what came out written and read again, which must give the same. The
 * fuzzer's bytes get the right checksum first, or none would be looked into. With the environment's ME_FUZZ_SEEDS=DIR
 * it first writes seeds there. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../src/model/wire.h"
#include "../lib/rich_record.h"
#include "me/assembly.h"
#include "me/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static void demand(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_rows: %s\n", what);
    abort();
}

static void check(const struct me_result *rows)
{
    struct me_buffer once = ME_BUFFER_INIT, twice = ME_BUFFER_INIT;
    struct me_result again;
    me_message_encode(rows, &once);
    demand(!me_message_decode(once.data, once.len, &again, NULL), "what was written cannot be read");
    me_message_encode(&again, &twice);
    demand(once.len == twice.len && !memcmp(once.data, twice.data, once.len), "the round trip changes it");
    me_result_release(&again);
    me_buffer_release(&once);
    me_buffer_release(&twice);
}

static void decode(const void *bytes, size_t size)
{
    struct me_result rows;
    if (me_message_decode(bytes, size, &rows, NULL)) return;
    check(&rows);
    me_result_shift(&rows, 1000);
    demand(!me_result_rank(&rows, NULL), "not ranked");
    me_result_release(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct me_buffer bytes = ME_BUFFER_INIT;
    decode(data, size);
    if (size < 4) return 0;
    me_buffer_append(&bytes, data, size - 4);
    me_wire_put_fixed(&bytes, me_wire_crc32(0, bytes.data, bytes.len), 4);
    decode(bytes.data, bytes.len);
    me_buffer_release(&bytes);
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *folder = getenv("ME_FUZZ_SEEDS");
    (void)argc;
    (void)argv;
    for (int variant = 0; folder && variant < 4; variant++) {
        struct rich_record what = {
            .machine_id = variant, .repeats = variant, .samples = 20, .cut = variant == 3};
        struct me_plan_machine machine = {.id = variant, .grid_g_per_kwh = 400, .pue = 1.1};
        struct me_buffer record = ME_BUFFER_INIT;
        struct me_parts parts;
        char path[512];
        rich_record_put(&record, &what);
        demand(!me_parts_make(&machine, record.data, record.len, NULL, &parts, NULL), "no seed");
        snprintf(path, sizeof path, "%s/seed-%d", folder, variant);
        FILE *file = fopen(path, "wb");
        if (file) {
            fwrite(parts.part[ME_PART_ROWS].data, 1, parts.part[ME_PART_ROWS].len, file);
            fclose(file);
        }
        me_parts_release(&parts);
        me_buffer_release(&record);
    }
    return 0;
}
