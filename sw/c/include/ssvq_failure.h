/* What can go wrong, each as its own result, and the text that says so. */
#ifndef SSVQ_FAILURE_H
#define SSVQ_FAILURE_H

#include <stddef.h>
#include <stdint.h>

/* Every result, X(NAME, meaning). */
#define SSVQ_RESULTS(X) \
    X(OK, "done") \
    X(BAD_BUS, "the bus that the platform describes cannot be used") \
    X(WRONG_DEVICE, "what answers at these addresses is no SSVQ core") \
    X(WRONG_VERSION, "the core's register version is not one this driver speaks") \
    X(DIGEST_MISMATCH, "core, driver and program do not belong together") \
    X(DEVICE_BUSY, "a job is running that was not started here; ssvq_recover ends it") \
    X(RECOVERY_FAILED, "the core did not become idle: it needs a reset") \
    X(COUNTER_MISMATCH, "the classes of cycles do not add up") \
    X(NO_PROFILE, "there is no profile to be read") \
    X(JOB_TIMEOUT, "a job was not complete in time; it has been aborted") \
    X(JOB_FAILED, "the core ended a job with an error that this driver does not know") \
    X(AXI_READ_ERROR, "the memory answered a read with an error") \
    X(AXI_WRITE_ERROR, "the memory answered a write with an error") \
    X(INVALID_JOB, "a descriptor is malformed") \
    X(MEMORY_RANGE_ERROR, "a descriptor reaches outside the DRAM window or the activation memory") \
    X(WEIGHT_LENGTH_ERROR, "a weight stream does not have the length that its layer needs") \
    X(JOB_STALLED, "the core's watchdog ended the job") \
    X(JOB_ABORTED, "someone else wrote ABORT") \
    X(BAD_MAGIC, "the file does not start with the magic of a program") \
    X(UNSUPPORTED_VERSION, "the file's version is not the one this driver reads") \
    X(TRUNCATED_FILE, "the file is shorter or longer than its header says") \
    X(CORRUPT_FILE, "the digest at the end is not that of the content") \
    X(BAD_HEADER, "the header is not what a program needs, or contradicts itself") \
    X(NO_SUCH_JOB, "the program has no such job") \
    X(WRONG_TENSOR, "a tensor does not fit its job") \
    X(WINDOW_TOO_SMALL, "the program does not fit the DRAM window")

#define SSVQ_RESULT_MEMBER_(name, meaning) SSVQ_##name,
typedef enum { SSVQ_RESULTS(SSVQ_RESULT_MEMBER_) } ssvq_result_t;
#undef SSVQ_RESULT_MEMBER_

/* Characters that belong to someone else, without a zero at the end. */
typedef struct {
    const char *start;
    size_t size;
} ssvq_text_t;

/* The last failure of a device or of reading a program.

   The members from `code` on are those of a job that the core ended; `descriptors_done` is also that of a time-out.
   `cause` is what failed first when the core could not be brought to idle after it, and otherwise OK. */
typedef struct {
    ssvq_result_t result;
    ssvq_result_t cause;
    const char *format;
    uint64_t values[3];
    ssvq_text_t text;
    uint32_t code;
    uint32_t descriptor;
    uint32_t opcode;
    uint64_t address;
    uint32_t descriptors_done;
} ssvq_failure_t;

/* The name of a result, such as "JOB_TIMEOUT", and what it means. */
const char *ssvq_result_name(ssvq_result_t result);
const char *ssvq_result_meaning(ssvq_result_t result);

/* Write what went wrong, with all values, as text with a zero at the end; it is cut to `size` bytes.
   Returns the length that the whole text has. */
size_t ssvq_failure_text(const ssvq_failure_t *failure, char *buffer, size_t size);

#endif
