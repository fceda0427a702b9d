/* What the parts of the driver share. */
#ifndef SSVQ_SRC_DEVICE_H
#define SSVQ_SRC_DEVICE_H

#include "failure.h"
#include "ssvq.h"

#define SSVQ_COUNTER_LIMIT UINT32_MAX /* where counters stop; from there on their sum says nothing */

static inline uint32_t ssvq_read(const ssvq_device_t *device, uint32_t offset)
{
    return device->bus.read32(device->bus.context, offset);
}

static inline void ssvq_write(const ssvq_device_t *device, uint32_t offset, uint32_t value)
{
    device->bus.write32(device->bus.context, offset, value);
}

static inline uint64_t ssvq_pair(uint32_t low, uint32_t high)
{
    return low | (uint64_t)high << 32;
}

/* Fail with DEVICE_BUSY when a job is running. */
ssvq_result_t ssvq_require_not_busy(ssvq_device_t *device);

/* Fail unless a program is for this core and fits the window. */
ssvq_result_t ssvq_require_fit(ssvq_device_t *device, const ssvq_program_t *program);

/* Write the image of a program; it must fit. */
void ssvq_place_image(const ssvq_device_t *device, const ssvq_program_t *program);

/* What the core says of the job that it ended. */
ssvq_failure_t ssvq_failure_of_job(const ssvq_device_t *device, const ssvq_program_t *program);

#endif
