/* The driver without an operating system: one program, one input after the other.

   To be adapted: the addresses, the clock, and how caches are kept out of the way. Here the window is in memory that is
   mapped without caching, and the processor polls. With caching, give the bus `clean` and `invalidate`; with an
   interrupt controller, give it a `wait_for_interrupt` that sleeps until the handler has seen irq or time is up. */

#include "ssvq.h"

#ifndef BOARD_REGISTERS
#define BOARD_REGISTERS 0x43C00000u /* where this processor sees the core's registers */
#endif
#ifndef BOARD_WINDOW
#define BOARD_WINDOW 0x10000000u /* where it sees the DRAM window */
#endif
#ifndef BOARD_WINDOW_BYTES
#define BOARD_WINDOW_BYTES (16u << 20)
#endif
#ifndef BOARD_WINDOW_OF_CORE
#define BOARD_WINDOW_OF_CORE BOARD_WINDOW /* where the core sees it */
#endif

/* Of the board: a microsecond clock; the program file in read-only memory, say by .incbin or objcopy. */
extern uint64_t board_microseconds(void);
extern const uint8_t board_program[];
extern const size_t board_program_bytes;
/* Of the application: fill an input, use an output. `values` are [tokens][channels]; false ends the loop. */
extern bool board_next_input(int8_t *values, size_t count);
extern void board_use_output(const int8_t *values, size_t count);
extern void board_report(const char *text);

static int8_t tensor[64 * 1024];

static uint32_t read_register(void *context, uint32_t offset)
{
    (void)context;
    return *(volatile uint32_t *)((uintptr_t)BOARD_REGISTERS + offset);
}

static void write_register(void *context, uint32_t offset, uint32_t value)
{
    (void)context;
    *(volatile uint32_t *)((uintptr_t)BOARD_REGISTERS + offset) = value;
}

static uint64_t now_us(void *context)
{
    (void)context;
    return board_microseconds();
}

static void barrier(void *context)
{
    (void)context;
    __sync_synchronize(); /* dsb on ARM, fence iorw, iorw on RISC-V */
}

static int fail(const ssvq_failure_t *failure)
{
    char text[160];
    ssvq_failure_text(failure, text, sizeof text);
    board_report(text);
    return 1;
}

int main(void)
{
    const ssvq_bus_t bus = {
        .memory = (volatile uint32_t *)(uintptr_t)BOARD_WINDOW,
        .memory_bytes = BOARD_WINDOW_BYTES,
        .memory_base = BOARD_WINDOW_OF_CORE,
        .read32 = read_register,
        .write32 = write_register,
        .now_us = now_us,
        .barrier = barrier,
    };
    const ssvq_run_options_t options = {SSVQ_TIMEOUT_US_DEFAULT, SSVQ_WATCHDOG_CYCLES_DEFAULT};
    ssvq_device_t device;
    ssvq_program_t program;
    ssvq_failure_t failure;
    if (ssvq_program_open(&program, board_program, board_program_bytes, &failure) != SSVQ_OK) {
        return fail(&failure);
    }
    ssvq_text_t jobs = program.jobs;
    ssvq_job_t job;
    if (!ssvq_next_job(&jobs, &job) || !job.input.present || !job.output.present) {
        board_report("the program's first job has no input or no output");
        return 1;
    }
    const size_t inputs = (size_t)job.input.tokens * job.input.channels;
    const size_t outputs = (size_t)job.output.tokens * job.output.channels;
    if (inputs > sizeof tensor || outputs > sizeof tensor) {
        board_report("a tensor is too large for this example");
        return 1;
    }
    if (ssvq_open(&device, &bus) != SSVQ_OK || ssvq_load(&device, &program) != SSVQ_OK) {
        return fail(&device.failure);
    }
    while (board_next_input(tensor, inputs)) {
        if (ssvq_write_input(&device, &program, &job, tensor, inputs) != SSVQ_OK ||
            ssvq_run(&device, &program, &options, NULL) != SSVQ_OK ||
            ssvq_read_output(&device, &program, &job, tensor, outputs) != SSVQ_OK) {
            return fail(&device.failure);
        }
        board_use_output(tensor, outputs);
    }
    return 0;
}
