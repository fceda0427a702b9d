#define _GNU_SOURCE

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

static const char help[] =
    "usage: ssvq_run [options] PROGRAM\n"
    "       ssvq_run --check PROGRAM...\n"
    "\n"
    "Runs a program that ssvq.program_file wrote. Tensors are files of int8, [tokens][channels].\n"
    "\n"
    "  --uio DEVICE           the core's UIO device, such as /dev/uio0\n"
    "  --socket PATH          or the socket of a simulated core (python -m ssvq_sim.bridge)\n"
    "  --memory FILE          DRAM window: /dev/udmabuf0, /dev/mem, or the file that the simulator maps\n"
    "  --memory-base N        its address, and\n"
    "  --memory-bytes N       its size, for /dev/mem; a u-dma-buf's are known\n"
    "  --interrupt DEVICE     another UIO device that has the core's interrupt\n"
    "  --sysfs FOLDER         where the kernel tells them, if not /sys/class\n"
    "  --input JOB=FILE       input of a job; every job that has one needs it\n"
    "  --output JOB=FILE      write the output of a job\n"
    "  --timeout-us N         longest time, 1000000 unless given\n"
    "  --watchdog-cycles N    cycles in which something must move, 0 for any number; 1048576 unless given\n"
    "  --poll                 read STATUS again and again instead of waiting for the interrupt\n"
    "  --counters             print the counters\n"
    "  --profile              print what each descriptor cost\n"
    "  --check                only check programs, and print their jobs\n"
    "\n"
    "Exit: 0 done, 1 the job or its files failed, 2 wrong usage.\n"
    "Example: ssvq_run --uio /dev/uio0 --memory /dev/udmabuf0 layer.program --input fc=x.bin --output fc=y.bin\n";

static bool add_tensor(tensor_files_t *files, char *argument)
{
    char *equals = strrchr(argument, '=');
    if (equals == NULL || equals == argument || equals[1] == '\0' || files->count == TENSORS_MAX) {
        say(argument, "must be JOB=FILE, and there are at most 256 of them");
        return false;
    }
    *equals = '\0';
    files->entries[files->count++] = (tensor_file_t){argument, equals + 1};
    return true;
}

static bool parse_number(const char *text, uint64_t most, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || *value > most || strchr(text, '-') != NULL) {
        say(text, "must be a whole number in its range");
        return false;
    }
    return true;
}

bool parse(int argc, char **argv, options_t *options)
{
    static const struct option known[] = {
        {"uio", 1, NULL, 'u'},
        {"socket", 1, NULL, 's'},
        {"memory", 1, NULL, 'm'},
        {"memory-base", 1, NULL, 'b'},
        {"memory-bytes", 1, NULL, 'z'},
        {"sysfs", 1, NULL, 'y'},
        {"interrupt", 1, NULL, 'q'},
        {"input", 1, NULL, 'i'},
        {"output", 1, NULL, 'o'},
        {"timeout-us", 1, NULL, 't'},
        {"watchdog-cycles", 1, NULL, 'w'},
        {"poll", 0, NULL, 'p'},
        {"counters", 0, NULL, 'c'},
        {"profile", 0, NULL, 'r'},
        {"check", 0, NULL, 'k'},
        {"help", 0, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    uint64_t watchdog = SSVQ_WATCHDOG_CYCLES_DEFAULT;
    *options = (options_t){.run.timeout_us = SSVQ_TIMEOUT_US_DEFAULT};
    for (int option; good && (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'u':
            options->paths.uio = optarg;
            break;
        case 's':
            options->socket = optarg;
            break;
        case 'm':
            options->paths.memory = optarg;
            break;
        case 'b':
            good = parse_number(optarg, UINT64_MAX, &options->paths.memory_base);
            break;
        case 'z':
            good = parse_number(optarg, SIZE_MAX, &options->paths.memory_bytes);
            break;
        case 'q':
            options->paths.interrupt = optarg;
            break;
        case 'y':
            options->paths.sysfs = optarg;
            break;
        case 'i':
            good = add_tensor(&options->inputs, optarg);
            break;
        case 'o':
            good = add_tensor(&options->outputs, optarg);
            break;
        case 't':
            good = parse_number(optarg, UINT64_MAX, &options->run.timeout_us);
            break;
        case 'w':
            good = parse_number(optarg, UINT32_MAX, &watchdog);
            break;
        case 'p':
            options->poll = true;
            break;
        case 'c':
            options->counters = true;
            break;
        case 'r':
            options->profile = true;
            break;
        case 'k':
            options->check = true;
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            good = false;
        }
    }
    options->run.watchdog_cycles = (uint32_t)watchdog;
    const bool one_device = (options->paths.uio == NULL) != (options->socket == NULL);
    const bool enough =
        options->check ? optind < argc : optind + 1 == argc && one_device && options->paths.memory != NULL;
    if (good && !enough) {
        say("usage",
            "one of --uio and --socket, --memory and one PROGRAM are needed, or --check and programs; see --help");
    }
    return good && enough;
}
