/* What the command is told. */
#ifndef SSVQ_RUN_OPTIONS_H
#define SSVQ_RUN_OPTIONS_H

#include "ssvq.h"
#include "ssvq_linux.h"

#define TENSORS_MAX 256

typedef struct {
    const char *job;
    const char *file;
} tensor_file_t;

typedef struct {
    tensor_file_t entries[TENSORS_MAX];
    size_t count;
} tensor_files_t;

typedef struct {
    ssvq_linux_paths_t paths;
    const char *socket;
    ssvq_run_options_t run;
    tensor_files_t inputs;
    tensor_files_t outputs;
    bool poll, counters, profile, check;
} options_t;

/* Read the command's arguments up to the programs, of which `optind` is the first. Says what is wrong with them. */
bool parse(int argc, char **argv, options_t *options);

#endif
