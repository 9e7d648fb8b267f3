/* Small files of sysfs and proc that are kept open and read again from their beginning, since opening
 * costs ten times what reading does; and the lines of their texts. */
#ifndef ME_SOURCE_FILE_H
#define ME_SOURCE_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Each returns 0 or an errno: ENOENT for a descriptor below 0, ENODATA for an empty file. Outputs are
 * untouched on failure, but for a text. */

/* What one read gives, size - 1 bytes at most, without the newline at its end. */
int me_file_text(int fd, char *text, size_t size);
/* One decimal number and nothing else: EINVAL (no number, or a negative count), ERANGE (too large). */
int me_file_count(int fd, uint64_t *count);
int me_file_number(int fd, long long *number);

/* Pure. What stands behind `key` at the beginning of the first line that begins with it; or NULL. */
const char *me_file_line(const char *text, const char *key);

#endif
