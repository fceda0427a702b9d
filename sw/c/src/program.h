/* The parts of a program file. */
#ifndef SSVQ_SRC_PROGRAM_H
#define SSVQ_SRC_PROGRAM_H

#include "json.h"
#include "ssvq_program.h"

/* Read the members of a program's header but for what the jobs say, which `program->jobs` is left at. */
void ssvq_read_header(ssvq_json_t *json, ssvq_program_t *program);

/* Read a job, and the next piece of a tensor, whose array `json` is in. */
void ssvq_read_job(ssvq_json_t *json, ssvq_job_t *job);
void ssvq_read_piece(ssvq_json_t *json, ssvq_piece_t *piece);

/* Whether the parts of a program contradict each other. */
ssvq_result_t ssvq_check_program(const ssvq_program_t *program, ssvq_failure_t *failure);

#endif
