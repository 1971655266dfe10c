#!/usr/bin/env bash
# One-node SLURM for tests: a real munged + slurmctld + slurmd on this machine,
# all files under one directory, nothing under /etc touched.
#
#   one_node.sh install        Debian/Ubuntu packages (root)
#   one_node.sh start          idempotent; ends when the node takes jobs
#   one_node.sh env            prints: export SLURM_CONF=...
#   one_node.sh status | stop  stop is idempotent too
#
# Use:   ./one_node.sh start && eval "$(./one_node.sh env)" && srun -n2 hostname
#
# Knobs: SLURM1_DIR   state directory            (default slurm1 under TMPDIR)
#        SLURM1_CPUS  CPUs the node claims       (default 16; need not exist)
#        SLURM1_GPUS  pretended GPUs             (default 2)
#        SLURM1_PORT  first of two TCP ports     (default 16817)
# Needs root. A changed knob takes effect after a stop.
set -euo pipefail

D=${SLURM1_DIR:-${TMPDIR:-/tmp}/slurm1}
CPUS=${SLURM1_CPUS:-16}
GPUS=${SLURM1_GPUS:-2}
PORT=${SLURM1_PORT:-16817}
HOST=$(hostname -s)
export SLURM_CONF=$D/slurm.conf
export PATH=$PATH:/usr/sbin:/sbin

die() { echo "one_node: $*" >&2; exit 1; }

running() {                     # running PID NAME: is PID a live (not zombie) NAME?
    [ "$(awk '/^Name:/ {n = $2} /^State:/ {s = $2} END {print n, (s != "Z")}' \
         "/proc/$1/status" 2>/dev/null)" = "$2 1" ]
}

pid_of() { cat "$D/$1.pid" 2>/dev/null || true; }

alive() { local p; p=$(pid_of "$1"); [ -n "$p" ] && running "$p" "$1"; }

gone() { ! running "$1" "$2"; }

wait_for() {                    # wait_for SECONDS COMMAND...
    local end=$((SECONDS + $1)); shift
    while ! "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1; sleep 0.1
    done
}

node_ready() { alive slurmctld && timeout 5 sinfo -h -N -n "$HOST" -o %T | grep -qE '^(idle|mixed|allocated)$'; }

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends slurm-wlm slurm-wlm-basic-plugins munge
}

write_gres() {
    local i
    : > "$D/gres.conf"
    # slurmd wants device files; with copies of /dev/null's numbers it sets CUDA_VISIBLE_DEVICES as on a real node
    for ((i = 0; i < GPUS; i++)); do
        [ -c "$D/gpu$i" ] || mknod "$D/gpu$i" c 1 3 2>/dev/null || break
        echo "NodeName=$HOST Name=gpu File=$D/gpu$i" >> "$D/gres.conf"
    done
    # where nobody may make devices: a bare count
    [ "$i" -eq "$GPUS" ] || echo "NodeName=$HOST Name=gpu Count=$GPUS" > "$D/gres.conf"
}

write_conf() {
    local mem
    write_gres
    mem=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    cat > "$D/slurm.conf" <<CONF
ClusterName=onenode
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORT
SlurmdPort=$((PORT + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# cred_expire is also how long a requeued job has to wait (default 120 s)
AuthInfo=socket=$D/munge/munge.socket,cred_expire=5
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool
SlurmctldPidFile=$D/slurmctld.pid
SlurmdPidFile=$D/slurmd.pid
SlurmctldLogFile=$D/slurmctld.log
SlurmdLogFile=$D/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc=$D/jobcomp.log
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
# config_overrides: believe the CPU count below, whatever the hardware says
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
# a starved machine must not time its own daemons out
MessageTimeout=60
ReturnToService=2
JobRequeue=1
KillWait=5
MinJobAge=3600
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$CPUS Sockets=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$mem Gres=gpu:$GPUS State=UNKNOWN
PartitionName=cpu Nodes=$HOST Default=YES MaxTime=1:00:00 State=UP
PartitionName=gpu Nodes=$HOST MaxTime=1:00:00 State=UP
CONF
}

start() {
    [ "$(id -u)" = 0 ] || die "must run as root"
    for x in munged slurmctld slurmd sinfo; do
        command -v $x >/dev/null || die "$x not found: run '$0 install' first"
    done
    if alive munged && alive slurmctld && alive slurmd && node_ready; then return 0; fi
    install -d -m 755 "$D" "$D/state" "$D/spool" "$D/munge"
    if [ ! -s "$D/munge.key" ]; then
        (umask 077; head -c 1024 /dev/urandom > "$D/munge.key")
    fi
    if ! alive munged; then
        rm -f "$D/munge/"munge.socket*
        munged --socket="$D/munge/munge.socket" --key-file="$D/munge.key" \
               --pid-file="$D/munged.pid" --log-file="$D/munged.log" \
               --seed-file="$D/munge.seed" --num-threads=2 \
            || die "munged did not start; see $D/munged.log"
    fi
    wait_for 10 munge -n --socket="$D/munge/munge.socket" || die "munge gives no credential"
    # a slurm.conf changed under running daemons is not noticed: write it once
    alive slurmctld || alive slurmd || write_conf
    alive slurmctld || slurmctld || die "slurmctld did not start; see $D/slurmctld.log"
    alive slurmd || slurmd || die "slurmd did not start; see $D/slurmd.log"
    wait_for 30 node_ready || {
        tail -n 5 "$D/slurmctld.log" "$D/slurmd.log" >&2; die "node not ready"; }
}

stop() {
    local x p
    if [ -r "$SLURM_CONF" ] && alive slurmctld; then
        timeout 10 squeue -h -o %A | sort -u | timeout 20 xargs -r scancel 2>/dev/null || true
        wait_for 15 sh -c '[ -z "$(timeout 5 squeue -h -t running,completing)" ]' || true
    fi
    for x in slurmd slurmctld munged; do        # by pid, and only ours
        if alive $x; then
            p=$(pid_of $x); kill "$p" || true
            wait_for 20 gone "$p" $x || kill -9 "$p" || true
        fi
        rm -f "$D/$x.pid"
    done
}

case "${1:-}" in
    install) install_packages ;;
    start)   start; sinfo -o '%P %D %c %m %t' ;;
    env)     echo "export SLURM_CONF=$SLURM_CONF" ;;
    status)  for x in munged slurmctld slurmd; do
                 if alive $x; then echo "$x up"; else echo "$x down"; fi
             done; if alive slurmctld; then sinfo; squeue; fi ;;
    stop)    stop ;;
    *)       sed -n '2,16p' "$0"; exit 2 ;;
esac
