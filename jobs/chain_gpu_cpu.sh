#!/bin/bash
# Two jobs, one after the other: the enhanced set on a GPU, then the run proper on CPU ranks.
#
#     jobs/chain_gpu_cpu.sh runcard.yml
#
# For GPUs with long queues: nobody holds an allocation while the first job waits. If it fails, the second one is
# removed from the queue. Prints the two job numbers. Options of sbatch go into GPU_OPTIONS and CPU_OPTIONS:
#
#     GPU_OPTIONS="--partition=a100 --time=4:00:00" CPU_OPTIONS="--ntasks-per-node=64" jobs/chain_gpu_cpu.sh runcard.yml
set -eu
if [ $# -eq 0 ]; then
    echo "usage: $0 RUNCARD [OPTIONS OF compress-mpi]" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)

# unquoted on purpose: several options each
gpu=$(sbatch --parsable ${GPU_OPTIONS:-} "$here/gpu_stage.slurm" "$@")
gpu=${gpu%%;*}
# without --kill-on-invalid-dep a job whose condition can no longer come true waits for ever
cpu=$(sbatch --parsable --dependency="afterok:$gpu" --kill-on-invalid-dep=yes ${CPU_OPTIONS:-} \
    "$here/restart_chain.slurm" "$@") || { scancel "$gpu"; exit 1; }
echo "$gpu ${cpu%%;*}"
