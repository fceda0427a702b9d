/* ssvq_run: runs a program file on a core, through UIO on Linux or through the socket of a simulated one. */

#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "files.h"
#include "options.h"
#include "print.h"
#include "ssvq_socket.h"
#include "tensors.h"

/* Check every file, and go on after one that is no program. */
static int check_programs(char *const *paths, int count)
{
    int status = 0;
    for (int i = 0; i < count; ++i) {
        content_t file;
        ssvq_program_t program;
        ssvq_failure_t failure;
        if (!read_file(paths[i], &file)) {
            status = FAILED;
        } else if (ssvq_program_open(&program, file.bytes, file.size, &failure) != SSVQ_OK) {
            status = report(paths[i], &failure);
        } else {
            printf("%s: program of %" PRIu32 " descriptors, %" PRIu32 " bytes of DRAM\n", paths[i],
                   program.descriptor_count, program.memory_bytes);
            print_jobs(&program);
        }
        free(file.bytes);
    }
    return status;
}

static int run(const options_t *options, const ssvq_bus_t *bus, const char *path, const ssvq_program_t *program)
{
    ssvq_device_t device;
    ssvq_counters_t counters;
    if (ssvq_open(&device, bus) != SSVQ_OK) {
        return report("device", &device.failure);
    }
    int status = inputs(&device, program, &options->inputs, false);
    status = status != 0 ? status : outputs(&device, program, &options->outputs, false);
    if (status != 0) {
        return status;
    }
    if (ssvq_load(&device, program) != SSVQ_OK) {
        return report(path, &device.failure);
    }
    status = inputs(&device, program, &options->inputs, true);
    if (status != 0) {
        return status;
    }
    if (ssvq_run(&device, program, &options->run, &counters) != SSVQ_OK) {
        return report(path, &device.failure);
    }
    if (options->counters) {
        print_counters("", &counters);
    }
    status = options->profile ? print_profile(&device, program) : 0;
    return status != 0 ? status : outputs(&device, program, &options->outputs, true);
}

static int run_on_platform(const options_t *options, const char *path, const ssvq_program_t *program)
{
    ssvq_bus_t bus;
    ssvq_linux_t linux_platform;
    ssvq_socket_t simulation;
    const bool simulated = options->socket != NULL;
    const bool open = simulated ? ssvq_socket_open(&simulation, options->socket, options->paths.memory, &bus)
                                : ssvq_linux_open(&linux_platform, &options->paths, &bus);
    if (!open) {
        say("device", simulated ? simulation.error : linux_platform.error);
        return FAILED;
    }
    if (options->poll) {
        bus.wait_for_interrupt = NULL;
    }
    const int status = run(options, &bus, path, program);
    if (simulated) {
        ssvq_socket_close(&simulation);
    } else {
        ssvq_linux_close(&linux_platform);
    }
    return status;
}

int main(int argc, char **argv)
{
    options_t options;
    if (!parse(argc, argv, &options)) {
        return BAD_USAGE;
    }
    if (options.check) {
        return check_programs(argv + optind, argc - optind);
    }
    const char *path = argv[optind];
    content_t file;
    ssvq_program_t program;
    ssvq_failure_t failure;
    int status = FAILED;
    if (read_file(path, &file)) {
        status = ssvq_program_open(&program, file.bytes, file.size, &failure) != SSVQ_OK
                     ? report(path, &failure)
                     : run_on_platform(&options, path, &program);
    }
    free(file.bytes);
    return status;
}
