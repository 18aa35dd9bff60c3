# torchrun on every node in one step. Killing the others hides the exit code of the first that fails, so it is kept.
start_torchrun() { # on each node: HEAD PORT LOGS COMMAND...
    local node=@NODE@ head=$1 port=$2 logs=$3 code
    shift 3
    torchrun --nnodes="$count" --node-rank="$(rank_of "$node")" --nproc-per-node="$gpus" \
        --master-addr="$head" --master-port="$port" "$@"
    code=$?
    ((code == 0)) && return
    echo "verl-job: torchrun on $node ended with code $code"
    mkdir "$logs/failed" 2>/dev/null && echo "$code" >"$logs/failed/code"
    exit "$code"
}
rank_of() { # NODE: its place among the nodes
    local rank=0 node
    for node in $nodelist; do
        [ "$node" = "$1" ] && break
        ((rank += 1))
    done
    echo "$rank"
}
functions+=$'\n'$(declare -f start_torchrun rank_of)
export count=${#nodes[@]} nodelist="${nodes[*]}"
on "$head"
address=$("${step[@]}" bash -c "$functions"$'\nnode_address')
[ -n "$address" ] || fail 2 "node $head has no address on interface '$interface'"
rm -rf "$logs/failed"
on "${nodes[@]}"
watched "${step[@]}" @OUTPUT@ bash -c "$functions"$'\nstart_torchrun "$@"' torchrun "$address" "$port" "$logs" "${command[@]}"
code=$?
[ ! -s "$logs/failed/code" ] || code=$(cat "$logs/failed/code")
((code == 0)) || fail "$code" "the command failed"
finish 0
