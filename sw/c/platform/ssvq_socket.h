/* Simulation platform: registers, interrupt and time of a simulated core through a Unix socket, the DRAM window by the
   file that the simulator maps. The other end is ssvq_sim.bus_server, which defines the messages. */
#ifndef SSVQ_SOCKET_H
#define SSVQ_SOCKET_H

#include "ssvq.h"

typedef struct {
    int socket;
    void *window;
    size_t window_bytes;
    uint64_t last_us;
    bool broken; /* the other end is gone: registers read as ones from here on, and time runs out */
    char error[512];
} ssvq_socket_t;

/* Connect, map, and fill in `bus`, whose context is `platform`. On failure returns false, `error` says why, and nothing
   is left open. */
bool ssvq_socket_open(ssvq_socket_t *platform, const char *socket_path, const char *memory_path, ssvq_bus_t *bus);

void ssvq_socket_close(ssvq_socket_t *platform);

#endif
