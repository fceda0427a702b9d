/* The profile of a job: when each descriptor ran, and which cycles it cost. */

#include <string.h>

#include "device.h"

static uint32_t profile_word(const ssvq_device_t *device, uint32_t descriptor, enum ssvq_profile_word word)
{
    ssvq_write(device, SSVQ_REG_PROFILE_ADDR, SSVQ_PROFILE_WORDS * descriptor + (uint32_t)word);
    return ssvq_read(device, SSVQ_REG_PROFILE_DATA);
}

static bool is_matrix(uint32_t opcode)
{
#define SSVQ_MATRIX_CASE(name) case SSVQ_OPCODE_##name:
    switch (opcode) {
        SSVQ_MATRIX_OPCODES(SSVQ_MATRIX_CASE)
        return true;
    default:
        return false;
    }
#undef SSVQ_MATRIX_CASE
}

/* Whether the times and costs can be: past the limit of the counters they say nothing. */
static bool checked(const ssvq_profile_t *profile)
{
    return profile->counters.values[SSVQ_COUNTER_TOTAL_CYCLES] < SSVQ_COUNTER_LIMIT;
}

ssvq_result_t ssvq_profile_begin(ssvq_profile_t *profile, ssvq_device_t *device, const ssvq_program_t *program)
{
    const uint32_t depth = SSVQ_PROFILE_DEPTH;
    *profile = (ssvq_profile_t){.device = device, .program = program};
    if (depth == 0) {
        return ssvq_fail(&device->failure, SSVQ_NO_PROFILE, "the core was generated with profile_depth 0", 0, 0);
    }
    const ssvq_result_t result = ssvq_require_not_busy(device);
    if (result != SSVQ_OK) {
        return result;
    }
    const uint32_t done = ssvq_read(device, SSVQ_REG_DESCRIPTORS_DONE);
    if (done != program->descriptor_count) {
        return ssvq_fail(&device->failure, SSVQ_NO_PROFILE,
                         "the last job completed %u descriptors, the program has %u: no profile", done,
                         program->descriptor_count);
    }
    profile->rows = done < depth ? done : depth;
    profile->left_out = done - profile->rows;
    return ssvq_counters(device, &profile->counters);
}

/* Read what a descriptor that enters the array has beyond all others. */
static ssvq_result_t read_matrix_row(ssvq_profile_t *profile, ssvq_profile_row_t *row)
{
    ssvq_device_t *device = profile->device;
    const uint32_t descriptor = row->descriptor;
    row->decoded = profile_word(device, descriptor, SSVQ_PROFILE_WORD_DECODED);
    row->compute_begin = profile_word(device, descriptor, SSVQ_PROFILE_WORD_COMPUTE_BEGIN);
    row->compute_end = profile_word(device, descriptor, SSVQ_PROFILE_WORD_COMPUTE_END);
    row->drain_begin = profile_word(device, descriptor, SSVQ_PROFILE_WORD_DRAIN_BEGIN);
    uint32_t after[SSVQ_COUNTER_COUNT] = {0};
    uint64_t sum = 0;
#define SSVQ_READ_CLASS(name) \
    after[SSVQ_COUNTER_##name] = profile_word(device, descriptor, SSVQ_PROFILE_WORD_##name); \
    sum += after[SSVQ_COUNTER_##name];
    SSVQ_PROFILE_STORED(SSVQ_READ_CLASS)
#undef SSVQ_READ_CLASS
    /* What the stored classes leave is the one that is not stored. */
    const enum ssvq_counter rest = SSVQ_COUNTER_WAIT_DESCRIPTOR_CYCLES;
    if (checked(profile) && sum > row->compute_end) {
        return ssvq_fail(&device->failure, SSVQ_COUNTER_MISMATCH,
                         "profile: COMPUTE_END is %u, the classes add up to %u", row->compute_end, sum);
    }
    after[rest] = (uint32_t)(row->compute_end - sum);
    for (size_t i = SSVQ_COUNTER_TOTAL_CYCLES + 1; i <= rest; ++i) {
        if (checked(profile) && after[i] < profile->before[i]) {
            return ssvq_fail(&device->failure, SSVQ_COUNTER_MISMATCH,
                             "profile of descriptor %u: a class of cycles has run backwards by %u", descriptor,
                             profile->before[i] - after[i]);
        }
        row->classes.values[i] = after[i] - profile->before[i];
    }
    memcpy(profile->before, after, sizeof after);
    return ssvq_succeed(&device->failure);
}

ssvq_result_t ssvq_profile_next(ssvq_profile_t *profile, ssvq_profile_row_t *row)
{
    ssvq_device_t *device = profile->device;
    if (profile->next >= profile->rows) {
        return ssvq_fail(&device->failure, SSVQ_NO_PROFILE, "the profile has %u rows", profile->rows, 0);
    }
    const uint32_t descriptor = profile->next++;
    const uint32_t word = ssvq_program_descriptor_word(profile->program, descriptor, SSVQ_DESCRIPTOR_OPCODE_WORD);
    const uint32_t opcode = SSVQ_FIELD_GET(SSVQ_DESCRIPTOR_OPCODE, word);
    *row = (ssvq_profile_row_t){
        .descriptor = descriptor,
        .opcode = opcode,
        .begin = profile_word(device, descriptor, SSVQ_PROFILE_WORD_BEGIN),
        .end = profile_word(device, descriptor, SSVQ_PROFILE_WORD_END),
        .is_matrix = is_matrix(opcode),
    };
    const uint32_t total = profile->counters.values[SSVQ_COUNTER_TOTAL_CYCLES];
    if (checked(profile) && (row->begin > row->end || row->end > total)) {
        ssvq_fail(&device->failure, SSVQ_COUNTER_MISMATCH,
                  "profile of descriptor %u: it runs from %u to %u, beyond the job's cycles", descriptor, row->begin);
        device->failure.values[2] = row->end;
        return SSVQ_COUNTER_MISMATCH;
    }
    return row->is_matrix ? read_matrix_row(profile, row) : ssvq_succeed(&device->failure);
}

ssvq_result_t ssvq_profile_tail(ssvq_profile_t *profile, ssvq_counters_t *tail)
{
    *tail = (ssvq_counters_t){{0}};
    for (size_t i = SSVQ_COUNTER_TOTAL_CYCLES + 1; i <= SSVQ_COUNTER_WAIT_DESCRIPTOR_CYCLES; ++i) {
        const uint32_t total = profile->counters.values[i];
        if (checked(profile) && total < profile->before[i]) {
            return ssvq_fail(&profile->device->failure, SSVQ_COUNTER_MISMATCH,
                             "profile after the last descriptor: a class of cycles has run backwards by %u",
                             profile->before[i] - total, 0);
        }
        tail->values[i] = total - profile->before[i];
    }
    return ssvq_succeed(&profile->device->failure);
}
