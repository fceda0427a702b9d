#include "tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

#define TEXT_BYTES 512

static size_t values_of(const ssvq_tensor_t *tensor)
{
    return (size_t)tensor->tokens * tensor->channels;
}

int inputs(ssvq_device_t *device, const ssvq_program_t *program, const tensor_files_t *files, bool write)
{
    char name[TEXT_BYTES];
    size_t wanted = 0;
    ssvq_text_t rest = program->jobs;
    for (ssvq_job_t job; ssvq_next_job(&rest, &job);) {
        wanted += job.input.present;
    }
    if (files->count != wanted) {
        snprintf(name, sizeof name, "the program has %zu inputs, %zu are given", wanted, files->count);
        say("--input", name);
        return FAILED;
    }
    for (size_t i = 0; i < files->count; ++i) {
        const tensor_file_t *entry = &files->entries[i];
        ssvq_job_t job;
        content_t content;
        for (size_t j = 0; j < i; ++j) {
            if (strcmp(entry->job, files->entries[j].job) == 0) {
                say(entry->job, "its input is given twice");
                return FAILED;
            }
        }
        if (!ssvq_program_find_job(program, entry->job, &job) || !job.input.present) {
            say(entry->job, "the program has no such job, or it has no input");
            return FAILED;
        }
        if (!read_file(entry->file, &content)) {
            free(content.bytes);
            return FAILED;
        }
        int status = 0;
        if (content.size != values_of(&job.input)) {
            snprintf(name, sizeof name, "the input of job %s has %zu bytes, not %zu", entry->job, values_of(&job.input),
                     content.size);
            say(entry->file, name);
            status = FAILED;
        } else if (write &&
                   ssvq_write_input(device, program, &job, (const int8_t *)content.bytes, content.size) != SSVQ_OK) {
            status = report(entry->file, &device->failure);
        }
        free(content.bytes);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

int outputs(ssvq_device_t *device, const ssvq_program_t *program, const tensor_files_t *files, bool read)
{
    for (size_t i = 0; i < files->count; ++i) {
        const tensor_file_t *entry = &files->entries[i];
        ssvq_job_t job;
        if (!ssvq_program_find_job(program, entry->job, &job) || !job.output.present) {
            say(entry->job, "the program has no such job, or it has no output");
            return FAILED;
        }
        if (!read) {
            continue;
        }
        int8_t *values = malloc(values_of(&job.output));
        if (values == NULL) {
            say(entry->job, "not enough memory");
            return FAILED;
        }
        int status = 0;
        if (ssvq_read_output(device, program, &job, values, values_of(&job.output)) != SSVQ_OK) {
            status = report(entry->job, &device->failure);
        } else if (!write_file(entry->file, values, values_of(&job.output))) {
            status = FAILED;
        }
        free(values);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}
