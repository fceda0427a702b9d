/* What a program's header may say. */

#include "failure.h"
#include "program.h"
#include "ssvq.h"

#define DESCRIPTORS_MAX 65535u                                  /* the core numbers them with 16 bits */
#define MEMORY_BYTES_MAX (UINT32_MAX - SSVQ_DRAM_ALIGNMENT + 1) /* MEMORY_SIZE is a 32-bit register */
#define WORD_BYTES_MIN 4u
#define WORD_BYTES_MAX 128u

static ssvq_result_t fail_of(ssvq_failure_t *failure, ssvq_text_t name, const char *format, uint64_t first,
                             uint64_t second)
{
    ssvq_fail(failure, SSVQ_BAD_HEADER, format, first, second);
    failure->text = name;
    return SSVQ_BAD_HEADER;
}

static bool same_span(const uint32_t first[2], const uint32_t second[2])
{
    return first[0] == second[0] && first[1] == second[1];
}

static bool apart(const uint32_t first[2], const uint32_t second[2])
{
    return first[1] <= second[0] || second[1] <= first[0];
}

/* Pieces with the same tokens must have different channels, and all others different tokens: then they cover the tensor
   exactly once when their areas add up to its. */
static bool may_stand_together(const ssvq_piece_t *first, const ssvq_piece_t *second)
{
    if (same_span(first->tokens, second->tokens)) {
        return apart(first->channels, second->channels);
    }
    return apart(first->tokens, second->tokens);
}

static ssvq_result_t check_piece(const ssvq_program_t *program, ssvq_text_t name, const ssvq_piece_t *piece,
                                 ssvq_failure_t *failure)
{
    if (piece->tokens[0] >= piece->tokens[1] || piece->channels[0] >= piece->channels[1]) {
        return fail_of(failure, name, "job '%t': a piece of its tensors is empty", 0, 0);
    }
    const uint64_t row = ((uint64_t)(piece->channels[1] - piece->channels[0]) + program->word_bytes - 1) /
                         program->word_bytes * program->word_bytes;
    const uint64_t tokens = piece->tokens[1] - piece->tokens[0];
    if (piece->offset % SSVQ_DRAM_ALIGNMENT != 0 || piece->offset < program->image_bytes ||
        piece->offset > program->memory_bytes || tokens > (program->memory_bytes - piece->offset) / row) {
        return fail_of(failure, name, "job '%t': a piece at offset %u is not aligned or not within the window",
                       piece->offset, 0);
    }
    return SSVQ_OK;
}

static ssvq_result_t check_tensor(const ssvq_program_t *program, ssvq_text_t name, const ssvq_tensor_t *tensor,
                                  ssvq_failure_t *failure)
{
    if (!tensor->present) {
        return SSVQ_OK;
    }
    if (tensor->tokens < 1 || tensor->channels < 1) {
        return fail_of(failure, name, "job '%t': a tensor must have tokens and channels, not %u x %u", tensor->tokens,
                       tensor->channels);
    }
    if (tensor->zero_point < INT8_MIN || tensor->zero_point > INT8_MAX) {
        return fail_of(failure, name, "job '%t': a zero point must be from -128 to 127", 0, 0);
    }
    bool fits = true;
    uint64_t area = 0;
    ssvq_text_t rest = tensor->pieces;
    for (ssvq_piece_t piece, other; ssvq_next_piece(&rest, &piece);) {
        const ssvq_result_t result = check_piece(program, name, &piece, failure);
        if (result != SSVQ_OK) {
            return result;
        }
        area += (uint64_t)(piece.tokens[1] - piece.tokens[0]) * (piece.channels[1] - piece.channels[0]);
        fits = fits && piece.tokens[1] <= tensor->tokens && piece.channels[1] <= tensor->channels;
        for (ssvq_text_t later = rest; fits && ssvq_next_piece(&later, &other);) {
            fits = may_stand_together(&piece, &other);
        }
        if (!fits) {
            break;
        }
    }
    if (!fits || area != (uint64_t)tensor->tokens * tensor->channels) {
        return fail_of(failure, name, "job '%t': the pieces of a tensor do not cover %u x %u exactly once",
                       tensor->tokens, tensor->channels);
    }
    return SSVQ_OK;
}

/* `later` are the jobs after it. */
static ssvq_result_t check_job(const ssvq_program_t *program, const ssvq_job_t *job, ssvq_text_t later,
                               ssvq_failure_t *failure)
{
    if (job->descriptor_count < 1 || job->first_descriptor >= program->descriptor_count ||
        job->descriptor_count > program->descriptor_count - job->first_descriptor) {
        return fail_of(failure, job->name, "job '%t': %u descriptors from %u do not exist", job->descriptor_count,
                       job->first_descriptor);
    }
    for (ssvq_job_t other; ssvq_next_job(&later, &other);) {
        if (ssvq_json_same(job->name, other.name)) {
            return fail_of(failure, job->name, "two jobs have the name '%t'", 0, 0);
        }
    }
    const ssvq_result_t result = check_tensor(program, job->name, &job->input, failure);
    return result != SSVQ_OK ? result : check_tensor(program, job->name, &job->output, failure);
}

static ssvq_result_t check_sizes(const ssvq_program_t *program, ssvq_failure_t *failure)
{
    const uint32_t word_bytes = program->word_bytes;
    if (word_bytes < WORD_BYTES_MIN || word_bytes > WORD_BYTES_MAX || (word_bytes & (word_bytes - 1)) != 0) {
        return ssvq_fail(failure, SSVQ_BAD_HEADER, "word_bytes must be a power of two from 4 to 128, not %u",
                         word_bytes, 0);
    }
    if (program->memory_bytes < program->image_bytes || program->memory_bytes > MEMORY_BYTES_MAX) {
        return ssvq_fail(failure, SSVQ_BAD_HEADER, "memory_bytes must be %u or more and below 4 GiB, not %u",
                         program->image_bytes, program->memory_bytes);
    }
    const uint64_t end = program->descriptor_offset + (uint64_t)program->descriptor_count * SSVQ_DESCRIPTOR_BYTES;
    if (program->descriptor_offset % SSVQ_DRAM_ALIGNMENT != 0 || program->descriptor_count < 1 ||
        end > program->image_bytes) {
        return ssvq_fail(failure, SSVQ_BAD_HEADER, "%u descriptors at offset %u are not in the image",
                         program->descriptor_count, program->descriptor_offset);
    }
    if (program->descriptor_count > DESCRIPTORS_MAX) {
        return ssvq_fail(failure, SSVQ_BAD_HEADER, "a program has at most %u descriptors, not %u", DESCRIPTORS_MAX,
                         program->descriptor_count);
    }
    return SSVQ_OK;
}

ssvq_result_t ssvq_check_program(const ssvq_program_t *program, ssvq_failure_t *failure)
{
    const ssvq_result_t result = check_sizes(program, failure);
    if (result != SSVQ_OK) {
        return result;
    }
    ssvq_text_t rest = program->jobs;
    for (ssvq_job_t job; ssvq_next_job(&rest, &job);) {
        const ssvq_result_t of_job = check_job(program, &job, rest, failure);
        if (of_job != SSVQ_OK) {
            return of_job;
        }
    }
    return ssvq_succeed(failure);
}
