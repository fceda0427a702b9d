/* Linux platform: registers and interrupt by UIO, the DRAM window by u-dma-buf or /dev/mem. Needs no kernel code. */
#ifndef SSVQ_LINUX_H
#define SSVQ_LINUX_H

#include "ssvq.h"

/* Where things are.

   uio : the core's UIO device, /dev/uio0
   memory : the device of the DRAM window, /dev/udmabuf0 or /dev/mem
   memory_base, memory_bytes : address of the window as the core sees it, and its size. Both 0: what the kernel says of
       the u-dma-buf. They must be given for /dev/mem
   interrupt : another UIO device that has the core's interrupt, NULL when its own has it
   sysfs : /sys/class when NULL
*/
typedef struct {
    const char *uio;
    const char *memory;
    uint64_t memory_base;
    uint64_t memory_bytes;
    const char *interrupt;
    const char *sysfs;
} ssvq_linux_paths_t;

typedef struct {
    int uio;
    int interrupt; /* may be the same */
    int memory;
    void *registers;
    size_t registers_mapped;
    volatile uint32_t *first_register;
    void *window;
    size_t window_bytes;
    char error[512];
} ssvq_linux_t;

/* Open and map everything, and fill in `bus`, whose context is `platform`. On failure returns false, `error` says why,
   and nothing is left open. */
bool ssvq_linux_open(ssvq_linux_t *platform, const ssvq_linux_paths_t *paths, ssvq_bus_t *bus);

void ssvq_linux_close(ssvq_linux_t *platform);

#endif
