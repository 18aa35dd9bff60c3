# Runs a command with a deadline on a node, and answers for it where it cannot.
# Arguments: the seconds that it has, and the command.
fail() {
    printf '\nverl-env-answer {"schema":1,"node":"%s","failed":"%s","why":"%s"}\n' \
        "${VERL_ENV_NODE:-${SLURMD_NODENAME:-$(hostname)}}" "$1" "$2"
    exit 0
}
seconds=$1
shift
[ -x "$1" ] || fail not-there "the Python that verl-env runs in is not on this node: a mount is missing"
timeout -k 5 "$seconds" "$@"
code=$?
case $code in
0) ;;
124 | 137) fail deadline "it did not answer within $seconds s" ;;
*) fail died "its task ended with code $code" ;;
esac
