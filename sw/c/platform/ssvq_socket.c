#define _POSIX_C_SOURCE 200809L

#include "ssvq_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A request and its answer: in the answer `operation` is 0, or else there is none. Both ends are on one machine. */
typedef struct {
    uint32_t operation;
    uint32_t offset;
    uint64_t value;
} message_t;

enum { OPERATION_READ = 1, OPERATION_WRITE, OPERATION_WAIT, OPERATION_NOW, OPERATION_MEMORY_BASE };

#define BROKEN_STEP_US UINT64_C(1000000)

static bool transfer(ssvq_socket_t *platform, message_t *message)
{
    char *bytes = (char *)message;
    if (platform->broken || send(platform->socket, bytes, sizeof *message, MSG_NOSIGNAL) != (ssize_t)sizeof *message) {
        platform->broken = true;
        return false;
    }
    for (size_t got = 0; got < sizeof *message;) {
        const ssize_t count = recv(platform->socket, bytes + got, sizeof *message - got, 0);
        if (count <= 0) {
            platform->broken = true;
            return false;
        }
        got += (size_t)count;
    }
    platform->broken = message->operation != 0;
    return !platform->broken;
}

static uint32_t read_register(void *context, uint32_t offset)
{
    message_t message = {OPERATION_READ, offset, 0};
    return transfer(context, &message) ? (uint32_t)message.value : UINT32_MAX;
}

static void write_register(void *context, uint32_t offset, uint32_t value)
{
    message_t message = {OPERATION_WRITE, offset, value};
    (void)transfer(context, &message);
}

static uint64_t now_us(void *context)
{
    ssvq_socket_t *platform = context;
    message_t message = {OPERATION_NOW, 0, 0};
    platform->last_us = transfer(platform, &message) ? message.value : platform->last_us + BROKEN_STEP_US;
    return platform->last_us;
}

static bool wait_for_interrupt(void *context, uint64_t timeout_us)
{
    message_t message = {OPERATION_WAIT, 0, timeout_us};
    return transfer(context, &message) && message.value != 0;
}

static bool fail(ssvq_socket_t *platform, const char *what, const char *path)
{
    snprintf(platform->error, sizeof platform->error, "%s %s: %s", what, path, strerror(errno));
    ssvq_socket_close(platform);
    return false;
}

static bool map_window(ssvq_socket_t *platform, const char *path)
{
    struct stat about;
    const int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) {
        return fail(platform, "cannot open", path);
    }
    if (fstat(file, &about) == 0) {
        platform->window_bytes = (size_t)about.st_size;
        platform->window = mmap(NULL, platform->window_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    const bool mapped = platform->window != MAP_FAILED || fail(platform, "cannot map", path);
    close(file);
    return mapped;
}

bool ssvq_socket_open(ssvq_socket_t *platform, const char *socket_path, const char *memory_path, ssvq_bus_t *bus)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *platform = (ssvq_socket_t){.socket = -1, .window = MAP_FAILED};
    if (strlen(socket_path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return fail(platform, "cannot connect to", socket_path);
    }
    strcpy(address.sun_path, socket_path);
    platform->socket = socket(AF_UNIX, SOCK_STREAM, 0);
    if (platform->socket < 0 || connect(platform->socket, (struct sockaddr *)&address, sizeof address) != 0) {
        return fail(platform, "cannot connect to", socket_path);
    }
    message_t message = {OPERATION_MEMORY_BASE, 0, 0};
    if (!transfer(platform, &message)) {
        return fail(platform, "no answer from", socket_path);
    }
    if (!map_window(platform, memory_path)) {
        return false;
    }
    *bus = (ssvq_bus_t){
        .context = platform,
        .memory = platform->window,
        .memory_bytes = platform->window_bytes,
        .memory_base = message.value,
        .read32 = read_register,
        .write32 = write_register,
        .now_us = now_us,
        .wait_for_interrupt = wait_for_interrupt,
    };
    return true;
}

void ssvq_socket_close(ssvq_socket_t *platform)
{
    if (platform->socket >= 0) {
        close(platform->socket);
    }
    if (platform->window != MAP_FAILED) {
        munmap(platform->window, platform->window_bytes);
    }
    platform->socket = -1;
    platform->window = MAP_FAILED;
}
