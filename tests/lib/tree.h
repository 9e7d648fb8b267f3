/* A directory tree for a test, made from {path, text} pairs under a fresh directory in $TMPDIR. */
#ifndef TEST_TREE_H
#define TEST_TREE_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void tree_make(char *root, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, size, "%s/me-test-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root) || chmod(root, 0755)) abort();
}

/* Makes the directories above it, writes the text over what was there (the same file: descriptors
 * that are open see it). */
static inline void tree_put(const char *root, const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    if (!file || fputs(text, file) < 0 || fclose(file)) abort();
}

static inline void tree_remove(const char *root)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    if (system(command)) abort();
}

#endif
