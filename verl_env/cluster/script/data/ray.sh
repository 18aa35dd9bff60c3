# Ray: its head, then all workers in one step. Sockets below ray_tmp may have 107 bytes in all, so it is short.
ray_tmp=/tmp/r$job-$UID
export RAY_raylet_start_wait_time_s=120 # of clients, for the Ray of their node
# ray start gives its own node 30 s, and no option changes that; it polls, so more costs nothing.
export ray_start='
import sys
from ray._private import services
from ray.scripts.scripts import main
if getattr(services, "wait_for_node", main).__defaults__:
    services.wait_for_node.__defaults__ = (600,)
sys.exit(main())
'
start_ray() { # on each node: Ray, until it ends; then a line that says so
    local node=@NODE@
    if [ -n "${ROCR_VISIBLE_DEVICES:-}" ]; then # Slurm sets it for any GPU; verl's workers refuse it, and Ray on AMD's
        [ ! -e /dev/kfd ] || export HIP_VISIBLE_DEVICES=$ROCR_VISIBLE_DEVICES
        unset ROCR_VISIBLE_DEVICES
    fi
    mkdir -p "$ray_tmp"
    if [ ! -O "$ray_tmp" ]; then
        echo "verl-job: $ray_tmp on $node belongs to somebody else"
        exit 1
    fi
    rm -f "$ray_tmp/raylet-$node" "$ray_tmp/plasma-$node" # of a job that was killed
    python -c "$ray_start" start --block --raylet-socket-name="$ray_tmp/raylet-$node" \
        --plasma-store-socket-name="$ray_tmp/plasma-$node" \
        --node-ip-address="$(node_address)" --node-name="$node" --num-cpus="$cpus" --num-gpus="$gpus" \
        --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0 --disable-usage-stats "$@"
    echo "verl-job: Ray on $node ended with code $?"
    exit 1
}
export ray_tmp
functions+=$'\n'$(declare -f start_ray)
on "$head"
address=$("${step[@]}" bash -c "$functions"$'\nnode_address')
[ -n "$address" ] || fail 2 "node $head has no address on interface '$interface'"
export RAY_ADDRESS=$address:$port
client=() # Ray's client server, where the environment has what it needs
python -c 'import grpc' 2>/dev/null && client=(--ray-client-server-port="$((port + 1))")
"${step[@]}" bash -c "$functions"$'\nstart_ray "$@"' ray --head --port="$port" --temp-dir="$ray_tmp" \
    --include-dashboard=false "${client[@]}" >"$logs/head-$head.log" 2>&1 &
steps+=($!)

# Ready when the head answers and every node has joined: by number, with an end
ready_seconds=600
ready_by=$((SECONDS + ready_seconds))
until "${step[@]}" ray health-check --address "$RAY_ADDRESS" >"$logs/ready.txt" 2>&1; do
    kill -0 "${steps[0]}" 2>/dev/null || fail 1 "Ray did not start on the head node"
    ((SECONDS < ready_by)) || fail 1 "Ray on the head node was not ready within $ready_seconds s"
    sleep 1
done
if ((${#nodes[@]} > 1)); then
    on "${nodes[@]:1}"
    "${step[@]}" @OUTPUT@ bash -c "$functions"$'\nstart_ray "$@"' ray --address="$RAY_ADDRESS" >"$logs/workers.log" 2>&1 &
    steps+=($!)
fi
joined='
import sys, ray
ray.init(address="auto", log_to_driver=False)
missing = set(sys.argv[1:]) - {node["NodeName"] for node in ray.nodes() if node["Alive"]}
sys.exit("verl-job: not in Ray: " + " ".join(sorted(missing)) if missing else 0)
'
on "$head"
# A client that comes too early may wait for ever, so each has a minute.
until watched "${step[@]}" timeout 60 python -c "$joined" "${nodes[@]}" >"$logs/ready.log" 2>&1; do
    ((SECONDS < ready_by)) || fail 1 "Ray did not get all of its nodes within $ready_seconds s"
    sleep 2
done
rm -f "$logs/ready.log"
echo "job $job: Ray has ${#nodes[@]} nodes; RAY_ADDRESS=$RAY_ADDRESS" >&2

# The command, on the head node; the job ends with its exit code
watched "${step[@]}" @PTY@"${command[@]}"
code=$?
on "${nodes[@]}"
((code != 0)) || "${step[@]}" bash -c "sleep 5; rm -rf '$ray_tmp'" >/dev/null 2>&1 &
finish "$code"
