/* What is shown of programs and jobs. */
#ifndef SSVQ_RUN_PRINT_H
#define SSVQ_RUN_PRINT_H

#include "ssvq.h"

/* The jobs of a program, a line each. */
void print_jobs(const ssvq_program_t *program);

/* The counters, a line each, with something before their names. */
void print_counters(const char *lead, const ssvq_counters_t *counters);

/* The profile of the last job, a line for each descriptor and the tail. Returns FAILED when there is none. */
int print_profile(ssvq_device_t *device, const ssvq_program_t *program);

#endif
