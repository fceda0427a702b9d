/* Files, and what is said of them. */
#ifndef SSVQ_RUN_FILES_H
#define SSVQ_RUN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ssvq_failure.h"

enum { FAILED = 1, BAD_USAGE = 2 };

typedef struct {
    uint8_t *bytes;
    size_t size;
} content_t;

/* Print an error. */
void say(const char *what, const char *text);

/* Print a failure of the driver, and return FAILED. */
int report(const char *what, const ssvq_failure_t *failure);

/* Read a whole file, whose `bytes` are to be freed, and write one. Both say why they cannot. */
bool read_file(const char *path, content_t *content);
bool write_file(const char *path, const void *bytes, size_t size);

#endif
