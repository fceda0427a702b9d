// The bench's DRAM: a file that this process and Python map together. The SystemVerilog side is dram.sv.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "svdpi.h"

namespace {

constexpr int beat_bytes_max = 64;

struct Beat {
    std::uint64_t offset;
    std::uint64_t strobes;
    std::uint8_t bytes[beat_bytes_max];
};

struct Burst {
    std::vector<Beat> beats;
    bool complete = false;
};

std::uint8_t *memory = nullptr;
std::uint64_t memory_size = 0;
std::deque<Burst> pending;

[[noreturn]] void fail(const std::string &what) {
    std::fprintf(stderr, "dram: %s\n", what.c_str());
    std::fflush(nullptr);
    std::_Exit(2);
}

}  // namespace

extern "C" {

// Map the file and return its size in bytes.
long long dram_open(const char *path) {
    const int file = open(path, O_RDWR);
    struct stat info;
    if (file < 0 || fstat(file, &info) != 0) fail(std::string("cannot open ") + path);
    memory_size = static_cast<std::uint64_t>(info.st_size);
    void *mapped = mmap(nullptr, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) fail(std::string("cannot map ") + path);
    memory = static_cast<std::uint8_t *>(mapped);
    return static_cast<long long>(memory_size);
}

// One beat from a byte offset; outside the memory it is all ones.
void dram_read(long long offset, int beat_bytes, svBitVecVal *data) {
    const auto start = static_cast<std::uint64_t>(offset);
    if (start + beat_bytes <= memory_size) {
        std::memcpy(data, memory + start, beat_bytes);
    } else {
        std::memset(data, 0xFF, beat_bytes);
    }
}

// Keep a beat until its burst is committed, as an interconnect may do until it has answered.
void dram_write(long long offset, int beat_bytes, const svBitVecVal *data, long long strobes, svBit last) {
    if (pending.empty() || pending.back().complete) pending.emplace_back();
    Beat beat{static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(strobes), {}};
    std::memcpy(beat.bytes, data, beat_bytes);
    pending.back().beats.push_back(beat);
    pending.back().complete = last;
}

// Write the oldest burst to the memory; called when its response is given.
void dram_commit() {
    if (pending.empty() || !pending.front().complete) fail("a response without a complete burst");
    for (const Beat &beat : pending.front().beats) {
        for (int lane = 0; lane < beat_bytes_max; ++lane) {
            if (beat.strobes >> lane & 1 && beat.offset + lane < memory_size) {
                memory[beat.offset + lane] = beat.bytes[lane];
            }
        }
    }
    pending.pop_front();
}

// Forget what was not committed.
void dram_reset() { pending.clear(); }

// End the process: write the broken rule where the runner looks for it.
void bench_violation(const char *path, const char *rule, long long cycle) {
    std::fprintf(stderr, "AXI rule broken in cycle %lld: %s\n", cycle, rule);
    if (std::FILE *file = std::fopen(path, "w")) {
        std::fprintf(file, "%s (cycle %lld)", rule, cycle);
        std::fclose(file);
    }
    std::fflush(nullptr);
    std::_Exit(3);
}
}
