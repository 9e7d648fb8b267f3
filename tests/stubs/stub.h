/* What the stub libraries share. A stub is told what to be by a variable of the environment, for
 * instance ME_STUB_NVML="gpus=2,power=300:150,energy=yes:no". Keys stand between commas, the values of
 * the GPUs between colons, and the last value holds for the rest. The energy at any moment of
 * CLOCK_MONOTONIC is known: power x time, in whole ticks. */
#ifndef STUB_H
#define STUB_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STUB_API __attribute__((visibility("default")))

static inline void stub_word(const char *variable, const char *key, unsigned gpu, const char *otherwise,
                             char *word, size_t size)
{
    const char *at = getenv(variable);
    size_t len = strlen(key);
    snprintf(word, size, "%s", otherwise);
    for (; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, key, len) || at[len] != '=') continue;
        at += len + 1;
        for (; gpu && at[strcspn(at, ":,")] == ':'; gpu--) at += strcspn(at, ":,") + 1;
        snprintf(word, size, "%.*s", (int)strcspn(at, ":,"), at);
        return;
    }
}

static inline double stub_number(const char *variable, const char *key, unsigned gpu, double otherwise)
{
    char word[64], text[32];
    snprintf(text, sizeof text, "%.9g", otherwise);
    stub_word(variable, key, gpu, text, word, sizeof word);
    return atof(word);
}

static inline int stub_is(const char *variable, const char *key, unsigned gpu, const char *otherwise,
                          const char *wanted)
{
    char word[64];
    stub_word(variable, key, gpu, otherwise, word, sizeof word);
    return !strcmp(word, wanted);
}

static inline double stub_now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline double stub_power_w(const char *variable, unsigned gpu)
{
    return stub_number(variable, "power", gpu, 100);
}

/* Joules since the machine started: constant power, seen in ticks (20 ms). "still" stands, "zero" is 0. */
static inline double stub_energy_j(const char *variable, unsigned gpu)
{
    uint64_t tick_ns = (uint64_t)(stub_number(variable, "tick", 0, 0.02) * 1e9 + 0.5);
    uint64_t now_ns = (uint64_t)(stub_now_s() * 1e9);
    if (stub_is(variable, "energy", gpu, "yes", "zero")) return 0;
    if (stub_is(variable, "energy", gpu, "yes", "still")) return 12345;
    return stub_power_w(variable, gpu) * (double)(now_ns / tick_ns * tick_ns) * 1e-9;
}

static inline void stub_start(const char *variable)
{
    double delay_s = stub_number(variable, "delay", 0, 0);
    struct timespec delay = {.tv_sec = (time_t)delay_s,
                             .tv_nsec = (long)((delay_s - (double)(time_t)delay_s) * 1e9)};
    nanosleep(&delay, NULL);
}

#endif
