/* The JSON header of a program file. */

#include "program.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void read_span(ssvq_json_t *json, uint32_t span[2])
{
    ssvq_json_expect(json, '[', "a pair of numbers");
    span[0] = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
    ssvq_json_expect(json, ',', "the second number of a pair");
    span[1] = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
    ssvq_json_expect(json, ']', "the end of a pair of numbers");
}

void ssvq_read_piece(ssvq_json_t *json, ssvq_piece_t *piece)
{
    static const char *const keys[] = {"offset", "tokens", "channels"};
    uint32_t seen = 0;
    ssvq_json_expect(json, '{', "a piece");
    for (;;) {
        switch (ssvq_json_member(json, keys, COUNT(keys), &seen)) {
        case 0:
            piece->offset = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 1:
            read_span(json, piece->tokens);
            break;
        case 2:
            read_span(json, piece->channels);
            break;
        default:
            return;
        }
    }
}

/* The text from here to the end of an array, of which every element is read. */
static ssvq_text_t read_array(ssvq_json_t *json, void (*read_element)(ssvq_json_t *json))
{
    ssvq_json_expect(json, '[', "an array");
    const char *start = json->at;
    bool first = true;
    while (ssvq_json_element(json, &first)) {
        read_element(json);
    }
    return (ssvq_text_t){start, json->wrong == NULL ? (size_t)(json->at - start) : 0};
}

static void skip_gain(ssvq_json_t *json)
{
    (void)ssvq_json_positive(json);
}

static void skip_piece(ssvq_json_t *json)
{
    ssvq_piece_t piece;
    ssvq_read_piece(json, &piece);
}

static void skip_job(ssvq_json_t *json)
{
    ssvq_job_t job;
    ssvq_read_job(json, &job);
}

static void read_scale(ssvq_json_t *json, ssvq_tensor_t *tensor)
{
    static const char *const keys[] = {"scale", "zero_point", "gains"};
    uint32_t seen = 0;
    ssvq_json_expect(json, '{', "a scale");
    for (;;) {
        switch (ssvq_json_member(json, keys, COUNT(keys), &seen)) {
        case 0:
            tensor->scale = ssvq_json_positive(json);
            break;
        case 1:
            tensor->zero_point = ssvq_json_signed(json);
            break;
        case 2:
            tensor->gains = read_array(json, skip_gain);
            break;
        default:
            return;
        }
    }
}

static void read_tensor(ssvq_json_t *json, ssvq_tensor_t *tensor)
{
    static const char *const keys[] = {"tokens", "channels", "scale", "pieces"};
    *tensor = (ssvq_tensor_t){.present = !ssvq_json_null(json)};
    if (!tensor->present) {
        return;
    }
    uint32_t seen = 0;
    ssvq_json_expect(json, '{', "a tensor or null");
    for (;;) {
        switch (ssvq_json_member(json, keys, COUNT(keys), &seen)) {
        case 0:
            tensor->tokens = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 1:
            tensor->channels = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 2:
            read_scale(json, tensor);
            break;
        case 3:
            tensor->pieces = read_array(json, skip_piece);
            break;
        default:
            return;
        }
    }
}

void ssvq_read_job(ssvq_json_t *json, ssvq_job_t *job)
{
    static const char *const keys[] = {"name", "first_descriptor", "descriptor_count", "input", "output"};
    uint32_t seen = 0;
    *job = (ssvq_job_t){.name = {json->at, 0}};
    ssvq_json_expect(json, '{', "a job");
    for (;;) {
        switch (ssvq_json_member(json, keys, COUNT(keys), &seen)) {
        case 0:
            job->name = ssvq_json_string(json);
            break;
        case 1:
            job->first_descriptor = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 2:
            job->descriptor_count = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 3:
            read_tensor(json, &job->input);
            break;
        case 4:
            read_tensor(json, &job->output);
            break;
        default:
            return;
        }
    }
}

void ssvq_read_header(ssvq_json_t *json, ssvq_program_t *program)
{
    static const char *const keys[] = {"config_digest",    "word_bytes",   "descriptor_offset",
                                       "descriptor_count", "memory_bytes", "jobs"};
    uint32_t seen = 0;
    ssvq_json_expect(json, '{', "an object");
    for (;;) {
        switch (ssvq_json_member(json, keys, COUNT(keys), &seen)) {
        case 0:
            program->config_digest = ssvq_json_unsigned(json, UINT64_MAX);
            break;
        case 1:
            program->word_bytes = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 2:
            program->descriptor_offset = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 3:
            program->descriptor_count = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 4:
            program->memory_bytes = (uint32_t)ssvq_json_unsigned(json, UINT32_MAX);
            break;
        case 5:
            program->jobs = read_array(json, skip_job);
            break;
        default:
            ssvq_json_finish(json);
            return;
        }
    }
}
