/* me_rig: the meters of a machine whose power is known. */
#include "fs.h"
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "Usage: me_rig [OPTION]... MOUNTPOINT\n"
    "Serve the meters of a machine whose power is known: zones in the shape of /sys/class/powercap, and\n"
    "files of any other shape. MOUNTPOINT can be given as a root, or bound to the real place.\n"
    "\n"
    "  -z, --zone=SPEC         add a zone; may be given many times\n"
    "  -f, --file=SPEC         add a file; may be given many times\n"
    "  -c, --config=FILE       add the zones and files of FILE, a SPEC a line: a file's has a slash before\n"
    "                          its first comma; # begins a comment\n"
    "  -p, --powercap=PATH     where the zones lie below MOUNTPOINT, for instance sys/class/powercap\n"
    "  -b, --background        return once the directory is there, and serve on\n"
    "  -d, --die-with-parent   unmount and end when the process that started this one ends\n"
    "  -h, --help              print this\n"
    "\n"
    "SPEC of a zone is a directory name and keys: intel-rapl:0,name=package-0,power=50\n"
    "  name=TEXT       what the file `name` says [the directory name]\n"
    "  power=W         watts, for instance 50 or 49.5 [0]\n"
    "  range=UJ        max_energy_range_uj [262143328850]\n"
    "  wrap=UJ         number after which the counter starts again [range]\n"
    "  tick_ms=MS      the counter moves every MS milliseconds; 0: always [1]\n"
    "  offset=UJ       where the counter begins [0]\n"
    "  max_power=W     constraint_0_max_power_uw; none: no such file [200]\n"
    "  mode=OCTAL      mode of energy_uj [0400]\n"
    "  mirror=ZONE     show the energy of another zone\n"
    "  enabled=0|1     what the file `enabled` says [1]\n"
    "  gone=0|1        not there until told to appear [0]\n"
    "\n"
    "SPEC of a file is a path below MOUNTPOINT and keys: sys/class/hwmon/hwmon0/name,text=amd_energy\n"
    "  text=TEXT       a constant text; \\n, \\t, \\\\ and \\, are escapes; a line end is added\n"
    "  from=FILE       a constant text: the content of FILE\n"
    "  link=TARGET     a symbolic link\n"
    "  power=W         a meter, of energy or of power as its unit says:\n"
    "  unit=UNIT       uJ, mJ, J, uWh, 2^-14 (joules), joules a count such as 15.3e-6: a counter;\n"
    "                  uW, mW, W: a gauge\n"
    "  format=TEXT     what is read: %v value, %.2v with decimals, %t time stamp of the tick in us since\n"
    "                  1970, %n ticks since the start; escapes as in text [%v]\n"
    "  tick_ms=MS      the value moves every MS milliseconds; 0: always [1]\n"
    "  mean=1          a gauge shows the mean of its last tick instead of the power at the tick [0]\n"
    "  offset=COUNT    where a counter begins [0]\n"
    "  wrap=COUNT      number after which a counter starts again [none]\n"
    "  falls=1         a counter falls from its offset, as a battery's does, and ends at 0\n"
    "  msr=1           registers, 8 bytes each at the offset of their number; others give EIO:\n"
    "  0xN=VALUE       a constant register\n"
    "  0xN=power:W[:UNIT[:OFFSET]]   a 32-bit counter [UNIT as register 0x606 or 0xc0010299 says]\n"
    "  mode=OCTAL      its mode [0444; registers 0600]\n"
    "  gone=0|1        not there until told to appear [0]\n"
    "\n"
    "MOUNTPOINT/.control: read it for the state, write commands to it, one a line. NAME is a zone, a file's\n"
    "path, a register (dev/cpu/0/msr:0x611), a directory's path, or a pattern of them with * and ?:\n"
    "  NAME power W | energy COUNT | mode OCTAL | text TEXT\n"
    "  NAME enabled 0|1                               of a zone\n"
    "  NAME fault ERRNO|garbage|empty|none [COUNT]    reads fail, all or the next COUNT\n"
    "  NAME delay MS | freeze | thaw | vanish | appear | ok    ok: without any of these and any fault\n";

struct arguments {
    const char *mountpoint;
    bool background, die_with_parent;
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "me_rig: %s: %s\n", what, why);
    return -1;
}

static int add_zone(struct rig *rig, const char *spec)
{
    const char *why = rig_zone_add(rig, spec);
    return why ? complain(spec, why) : 0;
}

static int add_file(struct rig *rig, const char *spec)
{
    const char *why = rig_file_add(rig, spec);
    return why ? complain(spec, why) : 0;
}

static int set_powercap(struct rig *rig, const char *path)
{
    if (!rig_path_good(path)) return complain(path, "not a path below the mount point");
    snprintf(rig->zones_path, sizeof rig->zones_path, "%s", path);
    return 0;
}

static int add_line(struct rig *rig, const char *spec)
{
    size_t name = strcspn(spec, ",");
    return memchr(spec, '/', name) ? add_file(rig, spec) : add_zone(rig, spec);
}

static int add_lines(struct rig *rig, const char *path)
{
    FILE *in = fopen(path, "r");
    if (!in) return complain(path, strerror(errno));
    char line[RIG_LINE];
    int rc = 0;
    while (!rc && fgets(line, sizeof line, in)) {
        line[strcspn(line, "#\n")] = '\0';
        if (line[strspn(line, " \t")]) rc = add_line(rig, line + strspn(line, " \t"));
    }
    fclose(in);
    return rc;
}

/* 0: go on; 1: all is said; -1: misuse. */
static int parse(int argc, char **argv, struct rig *rig, struct arguments *arguments)
{
    static const struct option options[] = {
        {"zone", required_argument, NULL, 'z'},   {"file", required_argument, NULL, 'f'},
        {"config", required_argument, NULL, 'c'}, {"powercap", required_argument, NULL, 'p'},
        {"background", no_argument, NULL, 'b'},   {"die-with-parent", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int letter;
    while ((letter = getopt_long(argc, argv, "z:f:c:p:bdh", options, NULL)) != -1) {
        if (letter == 'z' && add_zone(rig, optarg)) return -1;
        if (letter == 'f' && add_file(rig, optarg)) return -1;
        if (letter == 'c' && add_lines(rig, optarg)) return -1;
        if (letter == 'p' && set_powercap(rig, optarg)) return -1;
        if (letter == 'b') arguments->background = true;
        if (letter == 'd') arguments->die_with_parent = true;
        if (letter == 'h') return fputs(help, stdout), 1;
        if (letter == '?') return -1;
    }
    if (argc - optind != 1) return complain("one MOUNTPOINT is needed", "see me_rig --help");
    if (arguments->background && arguments->die_with_parent)
        return complain("--die-with-parent", "cannot be had with --background");
    arguments->mountpoint = argv[optind];
    return 0;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int start_counters(struct rig *rig)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC), wall = clock_ns(CLOCK_REALTIME);
    const char *why = rig_link(rig, (uint64_t)now, wall - now);
    return why ? complain("meters", why) : 0;
}

static int serve(struct rig_fs *fs, const struct arguments *arguments)
{
    char name[] = "me_rig", o[] = "-ofsname=me_rig,subtype=me_rig,allow_other,default_permissions";
    char *words[] = {name, o, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, words);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    struct fuse_session *session = fuse_session_new(&args, &rig_fs_ops, sizeof rig_fs_ops, fs);
    int rc = -1;
    if (!config || !session || fuse_set_signal_handlers(session)) goto out;
    if (fuse_session_mount(session, arguments->mountpoint)) goto out;
    if (fuse_daemonize(!arguments->background) == 0) {
        fuse_loop_cfg_set_max_threads(config, 16); /* a delayed read holds nobody else up */
        rc = fuse_session_loop_mt(session, config) < 0 ? -1 : 0;
    }
    fuse_session_unmount(session);
out:
    if (session) fuse_remove_signal_handlers(session);
    if (session) fuse_session_destroy(session);
    if (config) fuse_loop_cfg_destroy(config);
    fuse_opt_free_args(&args);
    return rc;
}

int main(int argc, char **argv)
{
    static struct rig_fs fs = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct arguments arguments = {0};
    int rc = parse(argc, argv, &fs.rig, &arguments);
    if (rc) return rc > 0 ? 0 : 2;
    if (arguments.die_with_parent) prctl(PR_SET_PDEATHSIG, SIGTERM);
    /* Ahead of the work that is measured, where the kernel lets us: a late answer is a wrong moment. */
    sched_setscheduler(0, SCHED_RR, &(struct sched_param){.sched_priority = 1});
    if (start_counters(&fs.rig)) return 2;
    rc = serve(&fs, &arguments);
    rig_release(&fs.rig);
    return rc ? 1 : 0;
}
