#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 512

void say(const char *what, const char *text)
{
    fprintf(stderr, "ssvq_run: %s: %s\n", what, text);
}

int report(const char *what, const ssvq_failure_t *failure)
{
    char text[TEXT_BYTES];
    ssvq_failure_text(failure, text, sizeof text);
    fprintf(stderr, "ssvq_run: %s: %s: %s\n", what, ssvq_result_name(failure->result), text);
    if (failure->cause != SSVQ_OK) {
        fprintf(stderr, "ssvq_run: %s: this was after %s\n", what, ssvq_result_name(failure->cause));
    }
    return FAILED;
}

bool read_file(const char *path, content_t *content)
{
    FILE *file = fopen(path, "rb");
    *content = (content_t){NULL, 0};
    for (size_t room = 0, count = 1; file != NULL && count > 0; content->size += count) {
        if (content->size == room) {
            room = room == 0 ? 4096 : 2 * room;
            uint8_t *larger = realloc(content->bytes, room);
            if (larger == NULL) {
                break;
            }
            content->bytes = larger;
        }
        count = fread(content->bytes + content->size, 1, room - content->size, file);
    }
    const bool good = file != NULL && feof(file) != 0 && ferror(file) == 0;
    if (!good) {
        say(path, errno != 0 ? strerror(errno) : "cannot be read");
    }
    if (file != NULL) {
        fclose(file);
    }
    return good;
}

bool write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    const bool written = file != NULL && fwrite(bytes, 1, size, file) == size;
    const bool closed = file != NULL && fclose(file) == 0;
    if (!written || !closed) {
        say(path, strerror(errno));
    }
    return written && closed;
}
