#!/bin/bash
# Predicts in 40 parts, each a job. Settings are those of infer:
#
#   sbatch slurm.sh run=RUN input=SCANS output=OUT
#
# SIGTERM comes two minutes before the time is up, so that the job is put back into the queue and goes on.
#SBATCH --job-name=predict --array=1-40 --requeue --signal=TERM@120
#SBATCH --cpus-per-task=4 --mem=16G --time=04:00:00
#SBATCH --output=predict-%a.log --open-mode=append
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK # else the step has one core, since SLURM 22.05
srun pin-lightning infer "$@" part="$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
code=$?
if [ $code -eq 143 ]; then # asked to end; after 2 another try would change nothing
  # not $SLURM_JOB_ID: that of the last part is the number of the whole array
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit $code
