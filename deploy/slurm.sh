#!/usr/bin/env bash
# One run on nodes that Slurm gives: sbatch deploy/slurm.sh my.yaml /shared/runs/mine
# A Ray of its own on all of them, which ends with the run. Two minutes before its time is over the
# run is told to stop: units in progress commit, and the job is queued again to go on.
#SBATCH --job-name=rayqc
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
# With GPUs: #SBATCH --gpus-per-node=1
set -euo pipefail

settings=${1:?give a YAML file of settings and a folder for the run}
out=${2:?give a folder for the run that all nodes share, or a URL}
shift 2
port=${RAYQC_RAY_PORT:-6379}

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address="$head:$port"

# Only who has the token may run code on this Ray; srun passes the environment on.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN

steps=()
run=""
stopped=0

# shellcheck disable=SC2329  # called by traps, as is the next
end() {
  for step in "${steps[@]}"; do kill "$step" 2> /dev/null || true; done
  wait || true
}
trap end EXIT

# shellcheck disable=SC2329
stop() {
  stopped=1
  if [[ -n $run ]]; then kill -TERM "$run" 2> /dev/null || true; fi
}
trap stop TERM

srun --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --head --port="$port" --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats --block &
steps+=($!)

tries=0
until ray status --address "$address" > /dev/null 2>&1; do
  tries=$((tries + 1))
  if [[ $tries -ge 60 ]]; then
    echo "slurm.sh: Ray's head on $head does not answer at $address" >&2
    exit 1
  fi
  sleep 2
done

if [[ ${#nodes[@]} -gt 1 ]]; then
  others=$(IFS=,; echo "${nodes[*]:1}")
  srun --nodes=$((${#nodes[@]} - 1)) --ntasks-per-node=1 --nodelist="$others" \
    ray start --address "$address" --num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats --block &
  steps+=($!)
  until [[ $(ray status --address "$address" 2> /dev/null | grep -c '^ 1 node_') -ge ${#nodes[@]} ]]; do
    tries=$((tries + 1))
    if [[ $tries -ge 90 ]]; then
      echo "slurm.sh: not all nodes are there yet; the run begins on those that are" >&2
      break
    fi
    sleep 2
  done
fi

again() {
  echo "slurm.sh: out of time; queued again to go on" >&2
  scontrol requeue "$SLURM_JOB_ID"
}

if [[ $stopped -eq 1 ]]; then
  again
  exit 4
fi
rayqc run "$settings" --out "$out" --address "$address" "$@" &
run=$!
if [[ $stopped -eq 1 ]]; then kill -TERM "$run" 2> /dev/null || true; fi  # it came in between
code=0
wait "$run" || code=$?
# A signal ends the first wait early; the run itself still commits what is in progress.
while kill -0 "$run" 2> /dev/null; do wait "$run" && code=0 || code=$?; done

if [[ $stopped -eq 1 && $code -ne 0 ]]; then
  again
fi
exit "$code"
