/* Starting jobs, waiting for them, and recovering. */

#include "device.h"

#define EVENTS (SSVQ_REG_IRQ_STATUS_DONE_MASK | SSVQ_REG_IRQ_STATUS_ERROR_MASK)
#define MAJOR_SHIFT 16

ssvq_result_t ssvq_open(ssvq_device_t *device, const ssvq_bus_t *bus)
{
    device->bus = *bus;
    ssvq_failure_t *failure = &device->failure;
    if (bus->read32 == NULL || bus->write32 == NULL || bus->now_us == NULL || bus->memory == NULL) {
        return ssvq_fail(failure, SSVQ_BAD_BUS, "a bus must have read32, write32, now_us and memory", 0, 0);
    }
    if (bus->memory_base % SSVQ_MEMORY_BASE_ALIGNMENT != 0) {
        return ssvq_fail(failure, SSVQ_BAD_BUS, "memory_base must be a multiple of %u, not %x",
                         SSVQ_MEMORY_BASE_ALIGNMENT, bus->memory_base);
    }
    const uint32_t identity = ssvq_read(device, SSVQ_REG_ID);
    if (identity != SSVQ_CORE_ID) {
        return ssvq_fail(failure, SSVQ_WRONG_DEVICE, "register ID must be %x, not %x: this is no SSVQ core",
                         SSVQ_CORE_ID, identity);
    }
    const uint32_t version = ssvq_read(device, SSVQ_REG_VERSION);
    if (version >> MAJOR_SHIFT != SSVQ_CORE_VERSION >> MAJOR_SHIFT) {
        return ssvq_fail(failure, SSVQ_WRONG_VERSION, "register VERSION must be %u.x, not %x",
                         SSVQ_CORE_VERSION >> MAJOR_SHIFT, version);
    }
    const uint64_t digest = ssvq_pair(ssvq_read(device, SSVQ_REG_DIGEST_LO), ssvq_read(device, SSVQ_REG_DIGEST_HI));
    if (digest != SSVQ_CONFIG_DIGEST) {
        return ssvq_fail(failure, SSVQ_DIGEST_MISMATCH,
                         "the core has configuration digest %x, the driver was compiled for " SSVQ_CONFIG_NAME ", %x",
                         digest, SSVQ_CONFIG_DIGEST);
    }
    return ssvq_succeed(failure);
}

ssvq_result_t ssvq_require_not_busy(ssvq_device_t *device)
{
    if ((ssvq_read(device, SSVQ_REG_STATUS) & SSVQ_REG_STATUS_BUSY_MASK) != 0) {
        return ssvq_fail(&device->failure, SSVQ_DEVICE_BUSY,
                         "a job is running that was not started here; ssvq_recover aborts it", 0, 0);
    }
    return ssvq_succeed(&device->failure);
}

ssvq_result_t ssvq_require_fit(ssvq_device_t *device, const ssvq_program_t *program)
{
    ssvq_failure_t *failure = &device->failure;
    if (program->config_digest != SSVQ_CONFIG_DIGEST || program->word_bytes != SSVQ_WORD_BYTES) {
        return ssvq_fail(failure, SSVQ_DIGEST_MISMATCH,
                         "the program was compiled for configuration digest %x, the core has %x",
                         program->config_digest, SSVQ_CONFIG_DIGEST);
    }
    if (program->memory_bytes > device->bus.memory_bytes) {
        return ssvq_fail(failure, SSVQ_WINDOW_TOO_SMALL, "the program needs a window of %u bytes, this one has %u",
                         program->memory_bytes, device->bus.memory_bytes);
    }
    const uint64_t last = UINT64_MAX >> (64 - SSVQ_AXI_ADDR_WIDTH);
    if (device->bus.memory_base > last || program->memory_bytes - 1 > last - device->bus.memory_base) {
        return ssvq_fail(failure, SSVQ_WINDOW_TOO_SMALL, "%u bytes from %x are beyond the core's addresses",
                         program->memory_bytes, device->bus.memory_base);
    }
    return ssvq_succeed(failure);
}

ssvq_result_t ssvq_recover(ssvq_device_t *device, uint64_t timeout_us)
{
    const uint64_t begin = device->bus.now_us(device->bus.context);
    for (uint32_t status = ssvq_read(device, SSVQ_REG_STATUS); status != 0;
         status = ssvq_read(device, SSVQ_REG_STATUS)) {
        if ((status & SSVQ_REG_STATUS_BUSY_MASK) != 0) {
            ssvq_write(device, SSVQ_REG_CONTROL, SSVQ_REG_CONTROL_ABORT_MASK);
        } else if ((status & SSVQ_REG_STATUS_DRAINING_MASK) == 0) {
            ssvq_write(device, SSVQ_REG_CONTROL, SSVQ_REG_CONTROL_CLEAR_MASK);
        }
        if (device->bus.now_us(device->bus.context) - begin > timeout_us) {
            return ssvq_fail(&device->failure, SSVQ_RECOVERY_FAILED, "STATUS is still %x after %u us", status,
                             timeout_us);
        }
    }
    ssvq_write(device, SSVQ_REG_IRQ_STATUS, EVENTS);
    return ssvq_succeed(&device->failure);
}

/* Recover after a failure, which stays the device's; when that is not possible, it is the cause. */
static ssvq_result_t recover_after(ssvq_device_t *device, ssvq_failure_t failure)
{
    if (ssvq_recover(device, SSVQ_RECOVER_US_DEFAULT) != SSVQ_OK) {
        device->failure.cause = failure.result;
    } else {
        device->failure = failure;
    }
    return device->failure.result;
}

ssvq_result_t ssvq_load(ssvq_device_t *device, const ssvq_program_t *program)
{
    ssvq_result_t result = ssvq_require_fit(device, program);
    if (result == SSVQ_OK) {
        result = ssvq_require_not_busy(device);
    }
    if (result == SSVQ_OK) {
        result = ssvq_recover(device, SSVQ_RECOVER_US_DEFAULT);
    }
    if (result == SSVQ_OK) {
        ssvq_place_image(device, program);
    }
    return result;
}

ssvq_result_t ssvq_start(ssvq_device_t *device, const ssvq_program_t *program, uint32_t watchdog_cycles)
{
    ssvq_result_t result = ssvq_require_fit(device, program);
    if (result == SSVQ_OK) {
        result = ssvq_require_not_busy(device);
    }
    if (result == SSVQ_OK) {
        result = ssvq_recover(device, SSVQ_RECOVER_US_DEFAULT);
    }
    if (result != SSVQ_OK) {
        return result;
    }
    const uint64_t base = device->bus.memory_base;
    ssvq_write(device, SSVQ_REG_IRQ_ENABLE, EVENTS);
    ssvq_write(device, SSVQ_REG_MEMORY_BASE_LO, (uint32_t)(base & UINT32_MAX));
    ssvq_write(device, SSVQ_REG_MEMORY_BASE_HI, (uint32_t)(base >> 32));
    ssvq_write(device, SSVQ_REG_MEMORY_SIZE, program->memory_bytes);
    ssvq_write(device, SSVQ_REG_DESCRIPTOR_OFFSET, program->descriptor_offset);
    ssvq_write(device, SSVQ_REG_DESCRIPTOR_COUNT, program->descriptor_count);
    ssvq_write(device, SSVQ_REG_WATCHDOG_CYCLES, watchdog_cycles);
    if (device->bus.barrier != NULL) {
        device->bus.barrier(device->bus.context);
    }
    ssvq_write(device, SSVQ_REG_CONTROL, SSVQ_REG_CONTROL_START_MASK);
    return SSVQ_OK;
}

ssvq_result_t ssvq_wait(ssvq_device_t *device, const ssvq_program_t *program, uint64_t timeout_us)
{
    const ssvq_bus_t *bus = &device->bus;
    const uint32_t end = SSVQ_REG_STATUS_DONE_MASK | SSVQ_REG_STATUS_ERROR_MASK;
    const uint64_t begin = bus->now_us(bus->context);
    for (;;) {
        const uint32_t status = ssvq_read(device, SSVQ_REG_STATUS);
        if ((status & SSVQ_REG_STATUS_DONE_MASK) != 0) {
            return ssvq_succeed(&device->failure);
        }
        if ((status & SSVQ_REG_STATUS_ERROR_MASK) != 0) {
            return recover_after(device, ssvq_failure_of_job(device, program));
        }
        const uint64_t passed = bus->now_us(bus->context) - begin;
        if (passed >= timeout_us) {
            break;
        }
        /* A raised interrupt whose event is no end of the job must not make this a busy loop. */
        if (bus->wait_for_interrupt != NULL && bus->wait_for_interrupt(bus->context, timeout_us - passed) &&
            (ssvq_read(device, SSVQ_REG_STATUS) & end) == 0) {
            ssvq_write(device, SSVQ_REG_IRQ_STATUS, EVENTS);
        }
    }
    ssvq_failure_t failure;
    ssvq_fail(&failure, SSVQ_JOB_TIMEOUT, "no end after %u us, %u of %u descriptors done; the job is aborted",
              timeout_us, ssvq_read(device, SSVQ_REG_DESCRIPTORS_DONE));
    failure.values[2] = program->descriptor_count;
    failure.descriptors_done = (uint32_t)failure.values[1];
    return recover_after(device, failure);
}

ssvq_result_t ssvq_counters(ssvq_device_t *device, ssvq_counters_t *counters)
{
#define SSVQ_READ_COUNTER(name) counters->values[SSVQ_COUNTER_##name] = ssvq_read(device, SSVQ_REG_##name);
#define SSVQ_ADD_COUNTER(name) sum += counters->values[SSVQ_COUNTER_##name];
    uint64_t sum = 0;
    SSVQ_CYCLE_COUNTERS(SSVQ_READ_COUNTER)
    SSVQ_TRAFFIC_COUNTERS(SSVQ_READ_COUNTER)
    SSVQ_CYCLE_COUNTERS(SSVQ_ADD_COUNTER)
#undef SSVQ_READ_COUNTER
#undef SSVQ_ADD_COUNTER
    const uint32_t total = counters->values[SSVQ_COUNTER_TOTAL_CYCLES];
    sum -= total;
    if (total < SSVQ_COUNTER_LIMIT && total != sum) {
        ssvq_failure_t failure;
        ssvq_fail(&failure, SSVQ_COUNTER_MISMATCH, "TOTAL_CYCLES is %u, its classes add up to %u", total, sum);
        return recover_after(device, failure);
    }
    return ssvq_succeed(&device->failure);
}

ssvq_result_t ssvq_run(ssvq_device_t *device, const ssvq_program_t *program, const ssvq_run_options_t *options,
                       ssvq_counters_t *counters)
{
    ssvq_counters_t unused;
    ssvq_result_t result = ssvq_start(device, program, options->watchdog_cycles);
    if (result == SSVQ_OK) {
        result = ssvq_wait(device, program, options->timeout_us);
    }
    if (result == SSVQ_OK) {
        result = ssvq_counters(device, counters != NULL ? counters : &unused);
    }
    if (result == SSVQ_OK) {
        result = ssvq_recover(device, SSVQ_RECOVER_US_DEFAULT);
    }
    return result;
}
