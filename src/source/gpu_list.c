#include "gpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static size_t by_number_of(const char *word, size_t len, size_t n)
{
    size_t number = 0;
    for (size_t i = 0; i < len; i++) {
        if (word[i] < '0' || word[i] > '9' || number > 100000) return n;
        number = number * 10 + (size_t)(word[i] - '0');
    }
    return len && number < n ? number : n;
}

/* An abbreviated uuid must fit one GPU only. */
static size_t by_uuid_of(const char *word, size_t len, const struct me_gpu *list, const size_t *named,
                         size_t n)
{
    size_t found = n;
    for (size_t i = 0; i < n; i++) {
        if (strncasecmp(list[named[i]].uuid, word, len)) continue;
        if (found < n) return n;
        found = i;
    }
    return found;
}

static bool is_among(const size_t *seen, size_t n, size_t index)
{
    for (size_t i = 0; i < n; i++)
        if (seen[i] == index) return true;
    return false;
}

size_t me_gpu_list(const char *words, const struct me_gpu *list, const size_t *named, size_t n, size_t *out,
                   bool *unsure, bool *by_number)
{
    size_t count = 0;
    *unsure = *by_number = false;
    for (const char *at = words; at; at = strchr(at, ',')) {
        at += strspn(at, ", \t");
        size_t len = strcspn(at, ", \t"), place;
        bool is_mig = len >= 4 && !strncasecmp(at, "MIG-", 4);
        if (is_mig && strncasecmp(at, "MIG-GPU-", 8)) {
            *unsure = true; /* a slice by its own uuid */
            continue;
        }
        if (is_mig) /* MIG-GPU-<uuid>/<GPU instance>/<compute instance> */
            place = by_uuid_of(at + 4, strcspn(at + 4, "/, \t"), list, named, n);
        else if (len > 4 && !strncasecmp(at, "GPU-", 4))
            place = by_uuid_of(at, len, list, named, n);
        else {
            place = by_number_of(at, len, n);
            *by_number |= place < n;
        }
        if (place >= n) break;
        if (!is_among(out, count, named[place])) out[count++] = named[place];
    }
    return count;
}

void me_gpus_hide(struct me_gpus *gpus, const size_t *seen, size_t n, const char *variable)
{
    const char *value = getenv(variable);
    for (size_t i = 0; i < gpus->count; i++)
        if (!is_among(seen, n, i) && !gpus->list[i].why_not[0])
            snprintf(gpus->list[i].why_not, sizeof gpus->list[i].why_not,
                     "not visible to the workload (%.24s=%.28s)", variable, value ? value : "");
}

bool me_gpus_are_mixed(const struct me_gpus *gpus)
{
    for (size_t i = 1; i < gpus->count; i++)
        if (strcmp(gpus->list[i].model, gpus->list[0].model)) return true;
    return false;
}
