/* SHA-256 (FIPS 180-4). */
#ifndef SSVQ_SRC_SHA256_H
#define SSVQ_SRC_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SSVQ_SHA256_BYTES 32

/* The digest of `size` bytes. */
void ssvq_sha256(const uint8_t *data, size_t size, uint8_t digest[SSVQ_SHA256_BYTES]);

#endif
