#include "usage.h"

/* ru_inblock and ru_oublock count 512 bytes whatever the disk's block (getrusage(2);
 * task_io_accounting_ops.h of the kernel shifts bytes by 9). ru_maxrss is in KiB. */
enum { BLOCK_BYTES = 512, KIB = 1024 };

static double seconds(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec * 1e-6;
}

void me_usage_add(struct me_child_usage *usage, const struct rusage *used)
{
    uint64_t rss = (uint64_t)used->ru_maxrss * KIB;
    usage->cpu_s += seconds(&used->ru_utime) + seconds(&used->ru_stime);
    usage->context_switches += (uint64_t)used->ru_nvcsw + (uint64_t)used->ru_nivcsw;
    usage->page_faults += (uint64_t)used->ru_minflt + (uint64_t)used->ru_majflt;
    usage->read_bytes += (uint64_t)used->ru_inblock * BLOCK_BYTES;
    usage->written_bytes += (uint64_t)used->ru_oublock * BLOCK_BYTES;
    if (rss > usage->max_rss_bytes) usage->max_rss_bytes = rss;
}
