#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include "ssvq_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 256
#define US_PER_S UINT64_C(1000000)
#define NS_PER_US 1000

static uint32_t read_register(void *context, uint32_t offset)
{
    const ssvq_linux_t *platform = context;
    return platform->first_register[offset / sizeof(uint32_t)];
}

static void write_register(void *context, uint32_t offset, uint32_t value)
{
    const ssvq_linux_t *platform = context;
    platform->first_register[offset / sizeof(uint32_t)] = value;
}

static uint64_t now_us(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / NS_PER_US;
}

/* UIO masks the interrupt when it comes; writing 1 unmasks it, and a read of its count takes it. */
static bool wait_for_interrupt(void *context, uint64_t timeout_us)
{
    const ssvq_linux_t *platform = context;
    const uint32_t unmask = 1;
    uint32_t count;
    struct pollfd wanted = {.fd = platform->interrupt, .events = POLLIN};
    const uint64_t timeout_ms = timeout_us / 1000 + 1;
    if (write(platform->interrupt, &unmask, sizeof unmask) != (ssize_t)sizeof unmask ||
        poll(&wanted, 1, timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms) <= 0) {
        return false;
    }
    return read(platform->interrupt, &count, sizeof count) == (ssize_t)sizeof count;
}

/* Accesses to the window must be complete before registers are written. */
static void barrier(void *context)
{
    (void)context;
#if defined(__aarch64__) || (defined(__ARM_ARCH) && __ARM_ARCH >= 7)
    __asm__ volatile("dsb sy" ::: "memory");
#else
    __sync_synchronize();
#endif
}

static bool fail(ssvq_linux_t *platform, const char *what, const char *path)
{
    snprintf(platform->error, sizeof platform->error, "%s %s: %s", what, path, strerror(errno));
    ssvq_linux_close(platform);
    return false;
}

/* A number in a file of sysfs, decimal or with 0x. */
static bool read_number(const char *path, uint64_t *value)
{
    char text[32];
    FILE *file = fopen(path, "r");
    const bool got = file != NULL && fgets(text, sizeof text, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    char *end = text;
    if (got) {
        *value = strtoull(text, &end, 0);
    }
    return end != text;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool map_registers(ssvq_linux_t *platform, const ssvq_linux_paths_t *paths, const char *sysfs)
{
    char path[PATH_BYTES];
    uint64_t size = 0, offset = 0;
    const char *name = last_part(paths->uio);
    platform->uio = open(paths->uio, O_RDWR | O_CLOEXEC);
    if (platform->uio < 0) {
        return fail(platform, "cannot open", paths->uio);
    }
    snprintf(path, sizeof path, "%s/uio/%s/maps/map0/size", sysfs, name);
    if (!read_number(path, &size)) {
        return fail(platform, "cannot read", path);
    }
    snprintf(path, sizeof path, "%s/uio/%s/maps/map0/offset", sysfs, name);
    (void)read_number(path, &offset); /* old kernels have none */
    if (offset > SIZE_MAX / 2 || size > SIZE_MAX / 2 || offset + size < SSVQ_REGISTER_BYTES) {
        snprintf(platform->error, sizeof platform->error, "%s maps %" PRIu64 " bytes, the core's registers need %u",
                 paths->uio, size, (unsigned)SSVQ_REGISTER_BYTES);
        ssvq_linux_close(platform);
        return false;
    }
    platform->registers_mapped = (size_t)(offset + size);
    platform->registers = mmap(NULL, platform->registers_mapped, PROT_READ | PROT_WRITE, MAP_SHARED, platform->uio, 0);
    if (platform->registers == MAP_FAILED) {
        return fail(platform, "cannot map", paths->uio);
    }
    platform->first_register = (volatile uint32_t *)platform->registers + offset / sizeof(uint32_t);
    return true;
}

static bool open_interrupt(ssvq_linux_t *platform, const ssvq_linux_paths_t *paths)
{
    platform->interrupt = paths->interrupt == NULL ? platform->uio : open(paths->interrupt, O_RDWR | O_CLOEXEC);
    return platform->interrupt >= 0 || fail(platform, "cannot open", paths->interrupt);
}

/* What the kernel says of a u-dma-buf, under the class name of the driver's newer or older versions. */
static bool find_window(const char *sysfs, const char *name, const char *attribute, uint64_t *value)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/u-dma-buf/%s/%s", sysfs, name, attribute);
    if (read_number(path, value)) {
        return true;
    }
    snprintf(path, sizeof path, "%s/udmabuf/%s/%s", sysfs, name, attribute);
    return read_number(path, value);
}

static bool map_window(ssvq_linux_t *platform, const ssvq_linux_paths_t *paths, const char *sysfs, uint64_t *base)
{
    const bool given = paths->memory_bytes != 0;
    const char *name = last_part(paths->memory);
    uint64_t size = paths->memory_bytes;
    *base = paths->memory_base;
    if (!given && (!find_window(sysfs, name, "phys_addr", base) || !find_window(sysfs, name, "size", &size))) {
        snprintf(platform->error, sizeof platform->error,
                 "%s is no u-dma-buf that the kernel knows: address and size of the window must be given",
                 paths->memory);
        ssvq_linux_close(platform);
        return false;
    }
    /* O_SYNC: without caching, so that nothing has to be flushed. */
    platform->memory = open(paths->memory, O_RDWR | O_SYNC | O_CLOEXEC);
    if (platform->memory < 0) {
        return fail(platform, "cannot open", paths->memory);
    }
    const bool physical = strcmp(name, "mem") == 0;
    platform->window_bytes = (size_t)size;
    platform->window = mmap(NULL, platform->window_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, platform->memory,
                            physical ? (off_t)*base : 0);
    return platform->window != MAP_FAILED || fail(platform, "cannot map", paths->memory);
}

bool ssvq_linux_open(ssvq_linux_t *platform, const ssvq_linux_paths_t *paths, ssvq_bus_t *bus)
{
    const char *sysfs = paths->sysfs != NULL ? paths->sysfs : "/sys/class";
    uint64_t base = 0;
    *platform = (ssvq_linux_t){.uio = -1, .interrupt = -1, .memory = -1, .registers = MAP_FAILED, .window = MAP_FAILED};
    if (!map_registers(platform, paths, sysfs) || !open_interrupt(platform, paths) ||
        !map_window(platform, paths, sysfs, &base)) {
        return false;
    }
    *bus = (ssvq_bus_t){
        .context = platform,
        .memory = platform->window,
        .memory_bytes = platform->window_bytes,
        .memory_base = base,
        .read32 = read_register,
        .write32 = write_register,
        .now_us = now_us,
        .wait_for_interrupt = wait_for_interrupt,
        .barrier = barrier,
    };
    return true;
}

void ssvq_linux_close(ssvq_linux_t *platform)
{
    if (platform->registers != MAP_FAILED) {
        munmap(platform->registers, platform->registers_mapped);
    }
    if (platform->window != MAP_FAILED) {
        munmap(platform->window, platform->window_bytes);
    }
    if (platform->interrupt >= 0 && platform->interrupt != platform->uio) {
        close(platform->interrupt);
    }
    if (platform->uio >= 0) {
        close(platform->uio);
    }
    if (platform->memory >= 0) {
        close(platform->memory);
    }
    platform->uio = platform->interrupt = platform->memory = -1;
    platform->registers = platform->window = MAP_FAILED;
}
