/* The board of the bare-metal example, on a host: registers and window are files at the addresses that it uses.
   Arguments: registers, window, inputs (one after the other), outputs. */

#define _GNU_SOURCE

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

int bare_metal_main(void);

static FILE *inputs, *outputs;

uint64_t board_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool board_next_input(int8_t *values, size_t count)
{
    return fread(values, 1, count, inputs) == count;
}

void board_use_output(const int8_t *values, size_t count)
{
    fwrite(values, 1, count, outputs);
}

void board_report(const char *text)
{
    fprintf(stderr, "%s\n", text);
}

static bool map(const char *path, uintptr_t address, size_t size)
{
    const int file = open(path, O_RDWR);
    void *wanted = (void *)address;
    return mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0) == wanted;
}

int main(int argc, char **argv)
{
    if (argc != 5 || !map(argv[1], BOARD_REGISTERS, 4096) || !map(argv[2], BOARD_WINDOW, BOARD_WINDOW_BYTES)) {
        return 2;
    }
    inputs = fopen(argv[3], "rb");
    outputs = fopen(argv[4], "wb");
    const int status = bare_metal_main();
    fclose(outputs);
    return status;
}
