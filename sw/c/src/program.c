/* Program files: magic, version, sizes, JSON header, image, SHA-256 of all before it; little-endian. */

#include "program.h"

#include <string.h>

#include "failure.h"
#include "sha256.h"
#include "ssvq.h"

#define FILE_VERSION 3u
#define VERSION_AT 8u
#define HEADER_BYTES_AT 12u
#define IMAGE_BYTES_AT 16u
#define PREFIX_BYTES 24u

static const char magic[] = {'S', 'S', 'V', 'Q', 'P', 'R', 'O', 'G'};

static uint32_t little_endian(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Check sizes and the digest, and find the header and the image. */
static ssvq_result_t open_frame(ssvq_program_t *program, const uint8_t *file, size_t size, ssvq_text_t *header,
                                ssvq_failure_t *failure)
{
    if (size < sizeof magic || memcmp(file, magic, sizeof magic) != 0) {
        return ssvq_fail(failure, SSVQ_BAD_MAGIC, "a program starts with SSVQPROG", 0, 0);
    }
    if (size < PREFIX_BYTES) {
        return ssvq_fail(failure, SSVQ_TRUNCATED_FILE, "a program has at least %u bytes, not %u", PREFIX_BYTES, size);
    }
    const uint32_t version = little_endian(file + VERSION_AT);
    if (version != FILE_VERSION) {
        return ssvq_fail(failure, SSVQ_UNSUPPORTED_VERSION, "the version of a program must be %u, not %u", FILE_VERSION,
                         version);
    }
    const uint32_t header_bytes = little_endian(file + HEADER_BYTES_AT);
    program->image_bytes = little_endian(file + IMAGE_BYTES_AT);
    const uint64_t expected = (uint64_t)PREFIX_BYTES + header_bytes + program->image_bytes + SSVQ_SHA256_BYTES;
    if (little_endian(file + IMAGE_BYTES_AT + 4) != 0 || size != expected) {
        return ssvq_fail(failure, SSVQ_TRUNCATED_FILE, "the program's header announces %u bytes, the file has %u",
                         expected + ((uint64_t)little_endian(file + IMAGE_BYTES_AT + 4) << 32), size);
    }
    uint8_t digest[SSVQ_SHA256_BYTES];
    ssvq_sha256(file, size - SSVQ_SHA256_BYTES, digest);
    if (memcmp(digest, file + size - SSVQ_SHA256_BYTES, SSVQ_SHA256_BYTES) != 0) {
        return ssvq_fail(failure, SSVQ_CORRUPT_FILE, "the digest at the end of the program does not match its content",
                         0, 0);
    }
    *header = (ssvq_text_t){(const char *)file + PREFIX_BYTES, header_bytes};
    program->image = file + PREFIX_BYTES + header_bytes;
    return SSVQ_OK;
}

ssvq_result_t ssvq_program_open(ssvq_program_t *program, const void *file, size_t size, ssvq_failure_t *failure)
{
    ssvq_text_t header;
    *program = (ssvq_program_t){0};
    const ssvq_result_t result = open_frame(program, file, size, &header, failure);
    if (result != SSVQ_OK) {
        return result;
    }
    ssvq_json_t json = ssvq_json(header);
    ssvq_read_header(&json, program);
    if (json.wrong != NULL) {
        ssvq_fail(failure, SSVQ_BAD_HEADER, "byte %u of the program's header must be %t",
                  (uint64_t)(json.at - header.start), 0);
        failure->text = (ssvq_text_t){json.wrong, strlen(json.wrong)};
        return failure->result;
    }
    return ssvq_check_program(program, failure);
}

/* Read one element of an array from the text that is left of it, before which there may be a comma. */
static bool next_element(ssvq_text_t *rest, ssvq_json_t *json)
{
    *json = ssvq_json(*rest);
    bool first = !ssvq_json_ahead(json, ',');
    return ssvq_json_element(json, &first);
}

bool ssvq_next_job(ssvq_text_t *jobs, ssvq_job_t *job)
{
    ssvq_json_t json;
    if (!next_element(jobs, &json)) {
        return false;
    }
    ssvq_read_job(&json, job);
    *jobs = (ssvq_text_t){json.at, (size_t)(json.end - json.at)};
    return json.wrong == NULL;
}

bool ssvq_next_piece(ssvq_text_t *pieces, ssvq_piece_t *piece)
{
    ssvq_json_t json;
    if (!next_element(pieces, &json)) {
        return false;
    }
    ssvq_read_piece(&json, piece);
    *pieces = (ssvq_text_t){json.at, (size_t)(json.end - json.at)};
    return json.wrong == NULL;
}

/* Whether a JSON string is these characters. */
static bool is_text(ssvq_text_t string, const char *text)
{
    ssvq_json_bytes_t bytes = ssvq_json_bytes(string);
    for (;; ++text) {
        const int byte = ssvq_json_next_byte(&bytes);
        if (byte < 0) {
            return *text == '\0';
        }
        if (*text == '\0' || byte != (unsigned char)*text) {
            return false;
        }
    }
}

bool ssvq_program_find_job(const ssvq_program_t *program, const char *name, ssvq_job_t *job)
{
    for (ssvq_text_t rest = program->jobs; ssvq_next_job(&rest, job);) {
        if (is_text(job->name, name)) {
            return true;
        }
    }
    return false;
}

bool ssvq_program_job_of_descriptor(const ssvq_program_t *program, uint32_t descriptor, ssvq_job_t *job)
{
    for (ssvq_text_t rest = program->jobs; ssvq_next_job(&rest, job);) {
        if (descriptor >= job->first_descriptor && descriptor - job->first_descriptor < job->descriptor_count) {
            return true;
        }
    }
    return false;
}

size_t ssvq_job_name(const ssvq_job_t *job, char *buffer, size_t size)
{
    ssvq_json_bytes_t bytes = ssvq_json_bytes(job->name);
    size_t length = 0;
    for (int byte = ssvq_json_next_byte(&bytes); byte >= 0; byte = ssvq_json_next_byte(&bytes)) {
        if (length + 1 < size) {
            buffer[length] = (char)byte;
        }
        ++length;
    }
    if (size > 0) {
        buffer[length < size ? length : size - 1] = '\0';
    }
    return length;
}

uint32_t ssvq_piece_token_bytes(const ssvq_program_t *program, const ssvq_piece_t *piece)
{
    const uint32_t words = (piece->channels[1] - piece->channels[0] - 1) / program->word_bytes + 1;
    return words * program->word_bytes;
}

uint64_t ssvq_piece_bytes(const ssvq_program_t *program, const ssvq_piece_t *piece)
{
    return (uint64_t)(piece->tokens[1] - piece->tokens[0]) * ssvq_piece_token_bytes(program, piece);
}

uint32_t ssvq_program_descriptor_word(const ssvq_program_t *program, uint32_t descriptor, uint32_t word)
{
    return little_endian(program->image + program->descriptor_offset + descriptor * SSVQ_DESCRIPTOR_BYTES + 4 * word);
}
