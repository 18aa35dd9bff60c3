#!/bin/bash
@DIRECTIVES@
# @TITLE@. Written by verl-env @VERSION@; it is yours to edit.
# Start it with:  @SUBMIT@
# Every directive above can be left out, or be given on the command line instead.
@UNTESTED@
# shellcheck disable=SC2317  # functions that run on the nodes
set -uo pipefail

# What you may want to change
environment=@ENVIRONMENT@
gpus=@GPUS@    # on each node
cpus=@CPUS@    # on each node
interface=@INTERFACE@    # of the network, such as ib0; empty: the first address of each node
command=(@COMMAND@)
export gpus cpus interface

# The environment, the variables of its lockset, and caches on the disk of each node
export PATH="$environment/bin:$PATH" VIRTUAL_ENV="$environment" PYTHONNOUSERSITE=1
unset PYTHONPATH PYTHONHOME
caches=${VERL_CACHES:-/tmp/$(id -un)-verl}
export TRITON_CACHE_DIR="${TRITON_CACHE_DIR:-$caches/triton}"
export TORCHINDUCTOR_CACHE_DIR="${TORCHINDUCTOR_CACHE_DIR:-$caches/inductor}"
export VLLM_CACHE_ROOT="${VLLM_CACHE_ROOT:-$caches/vllm}"
if [ -n "$interface" ]; then # what NCCL and gloo are to meet on, unless you have said it
    export NCCL_SOCKET_IFNAME="${NCCL_SOCKET_IFNAME:-$interface}" GLOO_SOCKET_IFNAME="${GLOO_SOCKET_IFNAME:-$interface}"
fi
@VARIABLES@
# The nodes, and how a command gets to them
job=@JOB@
@NODES@
head=${nodes[0]}
# Two jobs on one node must not meet: the ports come from the number of the job.
port=$((20000 + job % 4000 * 3))
logs=${VERL_LOGS:-$PWD/logs-$job}
mkdir -p "$logs" || exit 2
@EACH@
on() { # NODE...: sets step to the words that start a command once on each of them
    local list
    list=$(IFS=,; echo "$*")
@STEP@
}
node_address() { # the address of this node
    if [ -n "$interface" ]; then
        ip -4 -o addr show dev "$interface" | awk '{ split($4, part, "/"); print part[1]; exit }'
    else
        hostname -I | awk '{ print $1 }'
    fi
}
functions=$(declare -f node_address)

exec 3>&2 # where reasons go
# The end: whatever happens, what was started ends, and the reason is said
steps=()
finish() { # CODE
    trap - EXIT
    trap '' INT TERM
    ((${#steps[@]} == 0)) || kill "${steps[@]}" 2>/dev/null
    for ((i = 0; i < 100; i++)); do
        [ -n "$(jobs -rp)" ] || break
        sleep 0.2
    done
    exit "$1"
}
fail() { # CODE REASON
    {
        echo "job $job: $2"
        grep -hs '^verl-job: ' "$logs"/*.log
        echo "job $job: the logs are in $logs"
    } >&3
    finish "$1"
}
trap 'finish $?' EXIT
trap 'fail 143 "ended by a signal: it was cancelled, or its time is over"' INT TERM
watched() { # COMMAND...: runs it while every step before it lives; its exit code
    local running part
    "$@" <&0 &
    running=$!
    while kill -0 "$running" 2>/dev/null; do
        for part in "${steps[@]}"; do
            kill -0 "$part" 2>/dev/null && continue
            kill "$running" 2>/dev/null
            fail 1 "a part of it ended before the command did"
        done
        sleep 1
    done
    wait "$running"
}

