/* Program files as ssvq.program_file writes them, read where they are: nothing is copied or allocated.

   The file must stay in memory, unchanged, as long as its program is used. */
#ifndef SSVQ_PROGRAM_H
#define SSVQ_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ssvq_failure.h"

/* A checked program. Offsets are bytes from the base of the DRAM window. */
typedef struct {
    uint64_t config_digest;
    uint32_t word_bytes;
    uint32_t descriptor_offset;
    uint32_t descriptor_count;
    uint32_t memory_bytes; /* of the whole window, image and tensors */
    const uint8_t *image;  /* the constant part, placed at offset 0 */
    uint32_t image_bytes;
    ssvq_text_t jobs; /* JSON */
} ssvq_program_t;

/* An int8 tensor of tokens x channels in DRAM, in pieces that cover it exactly once.

   A real value is scale * (x - zero_point) * gain of its channel. `scale` and `gains` are JSON numbers as text, since
   a driver has no use for them; no gains stand for 1. */
typedef struct {
    bool present;
    uint32_t tokens;
    uint32_t channels;
    int32_t zero_point;
    ssvq_text_t scale;
    ssvq_text_t gains;
    ssvq_text_t pieces; /* JSON */
} ssvq_tensor_t;

/* A block of a tensor, contiguous in DRAM: tokens x channels, each token padded to whole words. */
typedef struct {
    uint32_t offset;
    uint32_t tokens[2];   /* first, and the one after the last */
    uint32_t channels[2]; /* the same */
} ssvq_piece_t;

/* A named run of a program's descriptors, with what its LOADs read and its STOREs write. */
typedef struct {
    ssvq_text_t name; /* the characters of a JSON string */
    uint32_t first_descriptor;
    uint32_t descriptor_count;
    ssvq_tensor_t input;
    ssvq_tensor_t output;
} ssvq_job_t;

/* Check a whole file of `size` bytes: sizes, digest, header, that everything lies in the window, and that the pieces of
   each tensor cover it. `failure` says what is wrong otherwise; `program` is then not to be used. */
ssvq_result_t ssvq_program_open(ssvq_program_t *program, const void *file, size_t size, ssvq_failure_t *failure);

/* Jobs one after the other: begin with a copy of the program's `jobs`; false after the last. */
bool ssvq_next_job(ssvq_text_t *jobs, ssvq_job_t *job);

/* The job of a name (UTF-8), or the one that a descriptor belongs to; false when there is none. */
bool ssvq_program_find_job(const ssvq_program_t *program, const char *name, ssvq_job_t *job);
bool ssvq_program_job_of_descriptor(const ssvq_program_t *program, uint32_t descriptor, ssvq_job_t *job);

/* Copy a job's name as UTF-8 with a zero at the end, cut to `size` bytes. Returns the length that it has. */
size_t ssvq_job_name(const ssvq_job_t *job, char *buffer, size_t size);

/* Pieces one after the other: begin with a copy of the tensor's `pieces`; false after the last. */
bool ssvq_next_piece(ssvq_text_t *pieces, ssvq_piece_t *piece);

/* Bytes that a token takes in a piece, and that the whole piece takes. */
uint32_t ssvq_piece_token_bytes(const ssvq_program_t *program, const ssvq_piece_t *piece);
uint64_t ssvq_piece_bytes(const ssvq_program_t *program, const ssvq_piece_t *piece);

/* A 32-bit word of a descriptor; `descriptor` must be below descriptor_count. */
uint32_t ssvq_program_descriptor_word(const ssvq_program_t *program, uint32_t descriptor, uint32_t word);

#endif
