#include "print.h"

#include <inttypes.h>
#include <stdio.h>

#include "files.h"

#define TEXT_BYTES 512

void print_jobs(const ssvq_program_t *program)
{
    char name[TEXT_BYTES];
    ssvq_text_t rest = program->jobs;
    for (ssvq_job_t job; ssvq_next_job(&rest, &job);) {
        ssvq_job_name(&job, name, sizeof name);
        printf("job %s: %" PRIu32 " descriptors", name, job.descriptor_count);
        if (job.input.present) {
            printf(", input %" PRIu32 " x %" PRIu32, job.input.tokens, job.input.channels);
        }
        if (job.output.present) {
            printf(", output %" PRIu32 " x %" PRIu32, job.output.tokens, job.output.channels);
        }
        printf("\n");
    }
}

void print_counters(const char *lead, const ssvq_counters_t *counters)
{
    for (unsigned i = 0; i < SSVQ_COUNTER_COUNT; ++i) {
        printf("%s%s %" PRIu32 "\n", lead, ssvq_counter_name((enum ssvq_counter)i), counters->values[i]);
    }
}

int print_profile(ssvq_device_t *device, const ssvq_program_t *program)
{
    ssvq_profile_t profile;
    ssvq_counters_t tail;
    if (ssvq_profile_begin(&profile, device, program) != SSVQ_OK) {
        return report("profile", &device->failure);
    }
    for (uint32_t i = 0; i < profile.rows; ++i) {
        ssvq_profile_row_t row;
        if (ssvq_profile_next(&profile, &row) != SSVQ_OK) {
            return report("profile", &device->failure);
        }
        const char *opcode = ssvq_opcode_name(row.opcode);
        printf("row %" PRIu32 " %s begin %" PRIu32 " end %" PRIu32, row.descriptor, opcode != NULL ? opcode : "?",
               row.begin, row.end);
        if (row.is_matrix) {
            printf(" decoded %" PRIu32 " compute_begin %" PRIu32 " compute_end %" PRIu32 " drain_begin %" PRIu32,
                   row.decoded, row.compute_begin, row.compute_end, row.drain_begin);
            for (unsigned j = 0; j < SSVQ_COUNTER_COUNT; ++j) {
                if (row.classes.values[j] != 0) {
                    printf(" %s %" PRIu32, ssvq_counter_name((enum ssvq_counter)j), row.classes.values[j]);
                }
            }
        }
        printf("\n");
    }
    if (ssvq_profile_tail(&profile, &tail) != SSVQ_OK) {
        return report("profile", &device->failure);
    }
    print_counters("tail ", &tail);
    return 0;
}
