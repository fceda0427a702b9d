/* Images and tensors in the DRAM window. */

#include <string.h>

#include "device.h"

#define WORD_BYTES sizeof(uint32_t)

/* Write `size` bytes from a multiple of four, and zeros up to `padded`, which is one, too. */
static void put(const ssvq_device_t *device, size_t offset, const void *data, size_t size, size_t padded)
{
    const uint8_t *bytes = data;
    for (size_t at = 0; at < padded; at += WORD_BYTES) {
        uint32_t word = 0;
        const size_t left = at < size ? size - at : 0;
        memcpy(&word, bytes + (left > 0 ? at : 0), left < WORD_BYTES ? left : WORD_BYTES);
        device->bus.memory[(offset + at) / WORD_BYTES] = word;
    }
}

static void get(const ssvq_device_t *device, size_t offset, void *data, size_t size)
{
    uint8_t *bytes = data;
    for (size_t at = 0; at < size; at += WORD_BYTES) {
        const uint32_t word = device->bus.memory[(offset + at) / WORD_BYTES];
        const size_t left = size - at;
        memcpy(bytes + at, &word, left < WORD_BYTES ? left : WORD_BYTES);
    }
}

static void clean(const ssvq_device_t *device, size_t offset, size_t size)
{
    if (device->bus.clean != NULL) {
        device->bus.clean(device->bus.context, offset, size);
    }
}

void ssvq_place_image(const ssvq_device_t *device, const ssvq_program_t *program)
{
    const size_t size = program->image_bytes;
    put(device, 0, program->image, size, (size + WORD_BYTES - 1) / WORD_BYTES * WORD_BYTES);
    clean(device, 0, size);
}

static ssvq_result_t require_tensor(ssvq_device_t *device, const ssvq_program_t *program, const ssvq_job_t *job,
                                    const ssvq_tensor_t *tensor, size_t count)
{
    const ssvq_result_t result = ssvq_require_fit(device, program);
    if (result != SSVQ_OK) {
        return result;
    }
    const uint64_t wanted = (uint64_t)tensor->tokens * tensor->channels;
    if (!tensor->present) {
        ssvq_fail(&device->failure, SSVQ_WRONG_TENSOR, "job '%t' has no such tensor in DRAM", 0, 0);
    } else if (count != wanted) {
        ssvq_fail(&device->failure, SSVQ_WRONG_TENSOR, "the tensor of job '%t' must have %u values, not %u", wanted,
                  count);
    } else {
        return ssvq_succeed(&device->failure);
    }
    device->failure.text = job->name;
    return SSVQ_WRONG_TENSOR;
}

ssvq_result_t ssvq_write_input(ssvq_device_t *device, const ssvq_program_t *program, const ssvq_job_t *job,
                               const int8_t *values, size_t count)
{
    const ssvq_tensor_t *tensor = &job->input;
    const ssvq_result_t result = require_tensor(device, program, job, tensor, count);
    if (result != SSVQ_OK) {
        return result;
    }
    ssvq_text_t rest = tensor->pieces;
    for (ssvq_piece_t piece; ssvq_next_piece(&rest, &piece);) {
        const size_t padded = ssvq_piece_token_bytes(program, &piece);
        const size_t channels = piece.channels[1] - piece.channels[0];
        for (size_t token = piece.tokens[0]; token < piece.tokens[1]; ++token) {
            const size_t offset = piece.offset + (token - piece.tokens[0]) * padded;
            put(device, offset, values + token * tensor->channels + piece.channels[0], channels, padded);
        }
        clean(device, piece.offset, (size_t)ssvq_piece_bytes(program, &piece));
    }
    return SSVQ_OK;
}

ssvq_result_t ssvq_read_output(ssvq_device_t *device, const ssvq_program_t *program, const ssvq_job_t *job,
                               int8_t *values, size_t count)
{
    const ssvq_tensor_t *tensor = &job->output;
    const ssvq_result_t result = require_tensor(device, program, job, tensor, count);
    if (result != SSVQ_OK) {
        return result;
    }
    if (device->bus.barrier != NULL) {
        device->bus.barrier(device->bus.context);
    }
    ssvq_text_t rest = tensor->pieces;
    for (ssvq_piece_t piece; ssvq_next_piece(&rest, &piece);) {
        const size_t padded = ssvq_piece_token_bytes(program, &piece);
        const size_t channels = piece.channels[1] - piece.channels[0];
        if (device->bus.invalidate != NULL) {
            device->bus.invalidate(device->bus.context, piece.offset, (size_t)ssvq_piece_bytes(program, &piece));
        }
        for (size_t token = piece.tokens[0]; token < piece.tokens[1]; ++token) {
            const size_t offset = piece.offset + (token - piece.tokens[0]) * padded;
            get(device, offset, values + token * tensor->channels + piece.channels[0], channels);
        }
    }
    return SSVQ_OK;
}
