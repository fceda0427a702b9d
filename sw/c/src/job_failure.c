/* Why the core ended a job. */

#include "device.h"

static ssvq_result_t result_of_code(uint32_t code)
{
    switch ((enum ssvq_error)code) {
    case SSVQ_ERROR_CODE_READ_SLAVE:
    case SSVQ_ERROR_CODE_READ_DECODE:
        return SSVQ_AXI_READ_ERROR;
    case SSVQ_ERROR_CODE_WRITE_SLAVE:
    case SSVQ_ERROR_CODE_WRITE_DECODE:
        return SSVQ_AXI_WRITE_ERROR;
    case SSVQ_ERROR_CODE_BAD_DESCRIPTOR:
        return SSVQ_INVALID_JOB;
    case SSVQ_ERROR_CODE_DRAM_RANGE:
    case SSVQ_ERROR_CODE_ACTIVATION_RANGE:
        return SSVQ_MEMORY_RANGE_ERROR;
    case SSVQ_ERROR_CODE_WEIGHT_LENGTH:
        return SSVQ_WEIGHT_LENGTH_ERROR;
    case SSVQ_ERROR_CODE_WATCHDOG:
        return SSVQ_JOB_STALLED;
    case SSVQ_ERROR_CODE_ABORTED:
        return SSVQ_JOB_ABORTED;
    case SSVQ_ERROR_CODE_NONE:
        break;
    }
    return SSVQ_JOB_FAILED;
}

ssvq_failure_t ssvq_failure_of_job(const ssvq_device_t *device, const ssvq_program_t *program)
{
    const uint32_t descriptor = ssvq_read(device, SSVQ_REG_ERROR_DESCRIPTOR);
    ssvq_failure_t failure = {
        .format = "descriptor %u failed: %e, address %x",
        .code = ssvq_read(device, SSVQ_REG_ERROR_CODE),
        .descriptor = descriptor,
        .address = ssvq_pair(ssvq_read(device, SSVQ_REG_ERROR_ADDR_LO), ssvq_read(device, SSVQ_REG_ERROR_ADDR_HI)),
        .descriptors_done = ssvq_read(device, SSVQ_REG_DESCRIPTORS_DONE),
    };
    failure.result = result_of_code(failure.code);
    failure.values[0] = descriptor;
    failure.values[1] = failure.address;
    ssvq_job_t job;
    if (descriptor < program->descriptor_count && ssvq_program_job_of_descriptor(program, descriptor, &job)) {
        const uint32_t word = ssvq_program_descriptor_word(program, descriptor, SSVQ_DESCRIPTOR_OPCODE_WORD);
        failure.format = "descriptor %u (%o of layer '%t') failed: %e, address %x";
        failure.opcode = SSVQ_FIELD_GET(SSVQ_DESCRIPTOR_OPCODE, word);
        failure.text = job.name;
    }
    return failure;
}
