/* Tensors between files and the core. */
#ifndef SSVQ_RUN_TENSORS_H
#define SSVQ_RUN_TENSORS_H

#include "options.h"

/* Write the inputs that were given, or only see whether they can be: exactly those of all jobs that have one. */
int inputs(ssvq_device_t *device, const ssvq_program_t *program, const tensor_files_t *files, bool write);

/* Write the outputs that were asked for to their files, or only see whether they can be. */
int outputs(ssvq_device_t *device, const ssvq_program_t *program, const tensor_files_t *files, bool read);

#endif
