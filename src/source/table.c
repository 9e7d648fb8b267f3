#include "me/source.h"
#include "battery.h"
#include "cray.h"
#include "events.h"
#include "external.h"
#include "hwmon.h"
#include "ipmi.h"
#include "levelzero.h"
#include "model.h"
#include "msr.h"
#include "nvml.h"
#include "perf.h"
#include "powercap.h"
#include "rocm.h"
#include "system.h"

/* In order of preference: of two that show the same thing the first counts, and the model is the last
 * resort. How to add one stands in me/source.h. */
const struct me_source_ops *const me_source_table[] = {
    &me_perf_ops,      /* the processor's counters, three ways to them: as events, */
    &me_powercap_ops,  /* as files, */
    &me_msr_ops,       /* as registers */
    &me_cray_ops,      /* the node, by its controller */
    &me_external_ops,  /* the user's own word goes before a sensor's */
    &me_ipmi_ops,      /* the node, by its BMC */
    &me_hwmon_ops,     /* boards, power supplies, cards */
    &me_nvml_ops,      /* GPUs of NVIDIA, */
    &me_rocm_ops,      /* of AMD, */
    &me_levelzero_ops, /* of Intel */
    &me_battery_ops,   /* what a laptop draws while it is unplugged */
    &me_events_ops,    /* no energy: what was done with it */
    &me_system_ops,    /* no energy */
    &me_model_ops,     /* the last resort */
    NULL,
};
