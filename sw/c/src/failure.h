/* Recording failures. */
#ifndef SSVQ_SRC_FAILURE_H
#define SSVQ_SRC_FAILURE_H

#include "ssvq_failure.h"

/* Record a failure and return its result. In `format`, which must be a constant, %u and %x take the values in their
   order as decimal and hexadecimal numbers, %t is `text`, %o the name of `opcode`, %e the meaning of `code`. */
ssvq_result_t ssvq_fail(ssvq_failure_t *failure, ssvq_result_t result, const char *format, uint64_t first,
                        uint64_t second);

/* Record that nothing went wrong. */
ssvq_result_t ssvq_succeed(ssvq_failure_t *failure);

#endif
