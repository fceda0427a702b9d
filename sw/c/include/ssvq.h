/* Driver of an SSVQ core, C11. No allocation, no global state, no library but <string.h>.

   `ssvq_core.h` is the header that was generated with the core: the driver is compiled for one configuration, and
   ssvq_open refuses a core of another one. A device is used by one thread at a time.

       ssvq_open                             once
       ssvq_program_open, ssvq_load          for each program
       ssvq_write_input, ssvq_run, ssvq_read_output   for each input
*/
#ifndef SSVQ_H
#define SSVQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ssvq_core.h"
#include "ssvq_failure.h"
#include "ssvq_program.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the driver needs of the machine. `context` is passed to every function.

   memory : the DRAM window as this processor sees it; it is accessed in aligned 32-bit words only, so that it may be
       mapped in any way
   memory_base : its address as the core sees it, a multiple of SSVQ_MEMORY_BASE_ALIGNMENT
   now_us : microseconds since some fixed moment; they must advance
   wait_for_interrupt : wait until the core's interrupt is raised, at most timeout_us; true when it is. NULL: poll
   clean : make what was written to a part of the window visible to the core. NULL when it is without caching
   invalidate : forget what caches hold of a part of the window. NULL when it is without caching
   barrier : order accesses to the window before those to registers that follow, and the other way round. NULL when
       read32 and write32 do so
*/
typedef struct {
    void *context;
    volatile uint32_t *memory;
    size_t memory_bytes;
    uint64_t memory_base;
    uint32_t (*read32)(void *context, uint32_t offset);
    void (*write32)(void *context, uint32_t offset, uint32_t value);
    uint64_t (*now_us)(void *context);
    bool (*wait_for_interrupt)(void *context, uint64_t timeout_us);
    void (*clean)(void *context, size_t offset, size_t size);
    void (*invalidate)(void *context, size_t offset, size_t size);
    void (*barrier)(void *context);
} ssvq_bus_t;

/* One core on a bus. `failure` says what the last call that did not return SSVQ_OK found. */
typedef struct {
    ssvq_bus_t bus;
    ssvq_failure_t failure;
} ssvq_device_t;

/* Times are microseconds of the bus's own clock. */
typedef struct {
    uint64_t timeout_us;
    uint32_t watchdog_cycles; /* in which something must move, 0: any number */
} ssvq_run_options_t;

#define SSVQ_TIMEOUT_US_DEFAULT UINT64_C(1000000)
#define SSVQ_WATCHDOG_CYCLES_DEFAULT (UINT32_C(1) << 20)
#define SSVQ_RECOVER_US_DEFAULT UINT64_C(100000)

/* The counters in the order of their registers. */
#define SSVQ_COUNTER_MEMBER_(name) SSVQ_COUNTER_##name,
enum ssvq_counter {
    SSVQ_CYCLE_COUNTERS(SSVQ_COUNTER_MEMBER_) SSVQ_TRAFFIC_COUNTERS(SSVQ_COUNTER_MEMBER_) SSVQ_COUNTER_COUNT
};
#undef SSVQ_COUNTER_MEMBER_
typedef struct {
    uint32_t values[SSVQ_COUNTER_COUNT];
} ssvq_counters_t;

/* The name of a counter, such as "TOTAL_CYCLES". */
const char *ssvq_counter_name(enum ssvq_counter counter);

/* Check the bus, and the core's ID, version and configuration digest; reads only.
   BAD_BUS, WRONG_DEVICE, WRONG_VERSION, DIGEST_MISMATCH. */
ssvq_result_t ssvq_open(ssvq_device_t *device, const ssvq_bus_t *bus);

/* Write a program's image to the window. The core is brought to idle; nothing is written when the program is for
   another configuration or does not fit. DIGEST_MISMATCH, WINDOW_TOO_SMALL, DEVICE_BUSY, RECOVERY_FAILED. */
ssvq_result_t ssvq_load(ssvq_device_t *device, const ssvq_program_t *program);

/* Write the input of a job, int8 [tokens][channels], each token padded with zeros to whole words. WRONG_TENSOR. */
ssvq_result_t ssvq_write_input(ssvq_device_t *device, const ssvq_program_t *program, const ssvq_job_t *job,
                               const int8_t *values, size_t count);

/* Read the output of a job, int8 [tokens][channels], without padding. WRONG_TENSOR. */
ssvq_result_t ssvq_read_output(ssvq_device_t *device, const ssvq_program_t *program, const ssvq_job_t *job,
                               int8_t *values, size_t count);

/* Run a loaded program and leave the core idle. `counters` may be NULL. What ssvq_start, ssvq_wait and ssvq_counters
   return. */
ssvq_result_t ssvq_run(ssvq_device_t *device, const ssvq_program_t *program, const ssvq_run_options_t *options,
                       ssvq_counters_t *counters);

/* The parts of ssvq_run. Leftovers of an earlier job are cleared by ssvq_start: DIGEST_MISMATCH, WINDOW_TOO_SMALL,
   DEVICE_BUSY, RECOVERY_FAILED. ssvq_wait: a result of a job (AXI_READ_ERROR to JOB_ABORTED, JOB_FAILED, JOB_TIMEOUT),
   after which the core is idle, or RECOVERY_FAILED. ssvq_counters: COUNTER_MISMATCH. */
ssvq_result_t ssvq_start(ssvq_device_t *device, const ssvq_program_t *program, uint32_t watchdog_cycles);
ssvq_result_t ssvq_wait(ssvq_device_t *device, const ssvq_program_t *program, uint64_t timeout_us);
ssvq_result_t ssvq_counters(ssvq_device_t *device, ssvq_counters_t *counters);

/* Bring the core to idle from any state: abort a running job, wait for its bus transactions, clear. RECOVERY_FAILED. */
ssvq_result_t ssvq_recover(ssvq_device_t *device, uint64_t timeout_us);

/* The profile of the last job, row by row, until the next one starts. */
typedef struct {
    ssvq_device_t *device;
    const ssvq_program_t *program;
    uint32_t rows;     /* descriptors that the core recorded */
    uint32_t left_out; /* descriptors beyond its profile_depth */
    uint32_t next;
    ssvq_counters_t counters;
    uint32_t before[SSVQ_COUNTER_COUNT]; /* classes at the last activation so far */
} ssvq_profile_t;

/* One descriptor. Times are cycles since the job's START. The members from `decoded` on are those of a descriptor that
   enters the array; `classes` are the cycles that it cost, by counter, since the one before it. */
typedef struct {
    uint32_t descriptor;
    uint32_t opcode;
    uint32_t begin;
    uint32_t end;
    bool is_matrix;
    uint32_t decoded;
    uint32_t compute_begin;
    uint32_t compute_end;
    uint32_t drain_begin;
    ssvq_counters_t classes;
} ssvq_profile_row_t;

/* Begin to read: NO_PROFILE, DEVICE_BUSY, COUNTER_MISMATCH. Then the rows in order, `profile->rows` of them, and what
   is left of each class after the last. Both check that no cycle is lost or counted twice: COUNTER_MISMATCH. */
ssvq_result_t ssvq_profile_begin(ssvq_profile_t *profile, ssvq_device_t *device, const ssvq_program_t *program);
ssvq_result_t ssvq_profile_next(ssvq_profile_t *profile, ssvq_profile_row_t *row);
ssvq_result_t ssvq_profile_tail(ssvq_profile_t *profile, ssvq_counters_t *tail);

/* The name of an opcode, NULL when there is none. */
const char *ssvq_opcode_name(uint32_t opcode);

#ifdef __cplusplus
}
#endif

#endif
